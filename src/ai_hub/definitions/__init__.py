"""What a feature is: frozen values, standard library only."""
