{{/* The name of everything that is installed. */}}
{{- define "mesh.name" -}}
{{- if contains "daena-mesh" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-daena-mesh" (.Release.Name | trunc 39 | trimSuffix "-") }}{{ end }}
{{- end }}

{{/* By which pods of a part are found; takes (list . "edge"). */}}
{{- define "mesh.selector" -}}
app.kubernetes.io/name: daena-mesh
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "mesh.labels" -}}
{{ include "mesh.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- end }}

{{/* An image by its digest, where one is given; takes (list image tag). */}}
{{- define "mesh.image" -}}
{{- $image := index . 0 }}
{{- if $image.digest }}{{ $image.repository }}@{{ $image.digest }}{{ else }}{{ $image.repository }}:{{ index . 1 }}{{ end }}
{{- end }}

{{- define "mesh.natsUrl" -}}
{{- if .Values.nats.enabled }}{{ ternary "tls" "nats" (ne .Values.nats.tlsSecret "") }}://{{ include "mesh.name" . }}-nats:4222{{ else }}{{ required "nats.url: where is your NATS? Or set nats.enabled" .Values.nats.url }}{{ end }}
{{- end }}

{{/* What APIs and edges are told; takes (list . "edge"). */}}
{{- define "mesh.environment" -}}
{{- $root := index . 0 }}
- name: MESH_NATS_URL
  value: {{ include "mesh.natsUrl" $root | quote }}
- name: MESH_TOKEN_KEY_FILE
  value: /etc/daena-mesh/tokens/token-key
{{- if $root.Values.nats.credsSecret }}
- name: MESH_NATS_CREDS
  value: /etc/daena-mesh/creds/{{ index . 1 }}.creds
{{- end }}
{{- if and $root.Values.nats.enabled $root.Values.nats.tlsSecret }}
- name: MESH_NATS_CA
  value: /etc/daena-mesh/nats-ca/ca.pem
{{- end }}
{{- if $root.Values.nats.enabled }}
- name: MESH_REPLICAS
  value: {{ ternary "3" "1" (ge (int $root.Values.nats.replicas) 3) | quote }}
{{- end }}
# Whose word on addresses counts: everybody's, where the network policy lets nobody but the ingress connect.
- name: MESH_TRUSTED_PROXIES
  value: {{ index $root.Values.settings "MESH_TRUSTED_PROXIES" | default (ternary "*" "127.0.0.1" (and $root.Values.networkPolicies.enabled (ne $root.Values.networkPolicies.ingressNamespace ""))) | quote }}
{{- range $name, $value := omit $root.Values.settings "MESH_TRUSTED_PROXIES" }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end }}

{{- define "mesh.mounts" -}}
- { name: tokens, mountPath: /etc/daena-mesh/tokens, readOnly: true }
{{- if .Values.nats.credsSecret }}
- { name: creds, mountPath: /etc/daena-mesh/creds, readOnly: true }
{{- end }}
{{- if and .Values.nats.enabled .Values.nats.tlsSecret }}
- { name: nats-ca, mountPath: /etc/daena-mesh/nats-ca, readOnly: true }
{{- end }}
- { name: tmp, mountPath: /tmp }
{{- end }}

{{- define "mesh.volumes" -}}
- name: tokens
  secret:
    secretName: {{ required "tokens.existingSecret: who may come in? See values.yaml" .Values.tokens.existingSecret }}
    defaultMode: 0440
{{- if .Values.nats.credsSecret }}
- name: creds
  secret: { secretName: {{ .Values.nats.credsSecret }}, defaultMode: 0440 }
{{- end }}
{{- if and .Values.nats.enabled .Values.nats.tlsSecret }}
- name: nats-ca
  secret:
    secretName: {{ .Values.nats.tlsSecret }}
    items: [{ key: ca.pem, path: ca.pem }]
{{- end }}
- name: tmp
  emptyDir: { medium: Memory, sizeLimit: 64Mi }
{{- end }}

{{/* The pods of an API or an edge. */}}
{{- define "mesh.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "mesh.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- define "mesh.annotations" -}}
{{- if (index . 0).Values.metrics.annotations }}
prometheus.io/scrape: "true"
prometheus.io/port: {{ index . 1 | quote }}
prometheus.io/path: /metrics
{{- end }}
{{- end }}
