{{- define "ai-hub.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "ai-hub.selector" -}}
app.kubernetes.io/name: ai-hub
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "ai-hub.labels" -}}
{{ include "ai-hub.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* A setting as text: Helm has numbers as floats, and would write a large one as 2e+08. */}}
{{- define "ai-hub.text" -}}
{{- if kindIs "float64" . }}{{ int64 . }}{{ else if kindIs "bool" . }}{{ ternary "1" "0" . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* The names by which the servers are asked, where the settings say none. */}}
{{- define "ai-hub.hosts" -}}
{{- $name := include "ai-hub.name" . -}}
{{- $names := list "localhost" $name (printf "%s.%s" $name .Release.Namespace) (printf "%s.%s.svc" $name .Release.Namespace) (printf "%s.%s.svc.cluster.local" $name .Release.Namespace) -}}
{{- if and .Values.ingress.enabled .Values.ingress.host }}{{ $names = append $names .Values.ingress.host }}{{ end -}}
{{ join "," $names }}
{{- end }}

{{/* What every pod of ours is: its rights are none. */}}
{{- define "ai-hub.pod" -}}
automountServiceAccountToken: false
# Of a service called ai-hub, Kubernetes would set AI_HUB_PORT.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{ toJson . }}
{{- end }}
{{- end }}

{{/* Where it may write: files that last only where there is a claim. */}}
{{- define "ai-hub.volumes" -}}
volumes:
  - name: tmp
    emptyDir: {}
  - name: data
    {{- if . }}
    persistentVolumeClaim: {claimName: {{ . | quote }}}
    {{- else }}
    emptyDir: {}
    {{- end }}
{{- end }}

{{/* What every container of ours is, but for its name and its command. */}}
{{- define "ai-hub.container" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  readOnlyRootFilesystem: true
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  - {name: data, mountPath: /data}
envFrom:
  - secretRef: {name: {{ .Values.secretName | quote }}}
env:
  - {name: AI_HUB_HOST, value: "0.0.0.0"}
  - {name: AI_HUB_PORT, value: "8003"}
  - {name: AI_HUB_EXPORT_ROOT, value: /data/exports}
  {{- if kindIs "invalid" .Values.settings.cache_url }}
  - {name: REDIS_HOST, value: {{ .Values.redis.host | quote }}}
  - {name: REDIS_PORT, value: {{ .Values.redis.port | toString | quote }}}
  {{- end }}
  {{- with .Values.traces.endpoint }}
  - {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }}}
  {{- end }}
  {{- range $key, $value := .Values.settings }}
  {{- if not (kindIs "invalid" $value) }}
  - {name: AI_HUB_{{ upper $key }}, value: {{ include "ai-hub.text" $value | quote }}}
  {{- end }}
  {{- end }}
  {{- if kindIs "invalid" .Values.settings.allowed_hosts }}
  - {name: AI_HUB_ALLOWED_HOSTS, value: {{ include "ai-hub.hosts" . | quote }}}
  {{- end }}
{{- end }}
