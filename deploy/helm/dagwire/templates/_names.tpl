{{/* Names and labels. Every object of the release is called <fullname>-<part>. */}}

{{- define "dagwire.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "dagwire.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "dagwire.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "dagwire.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects a component's pods. Never changes between versions: a Deployment's selector cannot. */}}
{{- define "dagwire.selector" -}}
app.kubernetes.io/name: {{ include "dagwire.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
component: {{ .component }}
{{- with .location }}
dagwire/code-location: {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "dagwire.podLabels" -}}
{{ include "dagwire.selector" . }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: dagwire
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end -}}

{{- define "dagwire.labels" -}}
{{ include "dagwire.podLabels" . }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The name of a component's service account: the release-wide one, the named one, or its own. */}}
{{- define "dagwire.serviceAccountName" -}}
{{- $account := .values.serviceAccount | default dict -}}
{{- $own := ternary .name "default" (ne $account.create false) -}}
{{- $account.name | default (.root.Values.global | default dict).serviceAccountName | default $own -}}
{{- end -}}
