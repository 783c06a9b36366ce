"""Who may ask for what: keys, the scopes and tenants that they have, and how often they may ask."""
