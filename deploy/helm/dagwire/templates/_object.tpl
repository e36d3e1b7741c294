{{/* One Kubernetes object: the usual metadata around a body, with the values' `merge` laid over it. Takes root,
component, apiVersion, kind, name, body, and where needed: location, namespace, annotations, merge. */}}
{{- define "dagwire.object" -}}
{{- $metadata := dict "name" .name "namespace" (.namespace | default .root.Release.Namespace) "labels" (include "dagwire.labels" . | fromYaml) -}}
{{- with .annotations }}{{ $_ := set $metadata "annotations" . }}{{ end -}}
{{- $object := dict "apiVersion" .apiVersion "kind" .kind "metadata" $metadata -}}
---
{{ toYaml (mergeOverwrite $object (.body | default dict) (deepCopy (.merge | default dict))) }}
{{- end -}}

{{- define "dagwire.image" -}}
{{- $image := .image -}}
{{- $tag := toString ($image.tag | default .root.Chart.AppVersion) -}}
{{- with $image.registry | default (.root.Values.global | default dict).imageRegistry }}{{ . }}/{{ end -}}
{{- $image.repository }}{{ if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $tag }}{{ end -}}
{{- end -}}

{{/* Pod settings for objects that have pods: a ServiceAccount and a PodDisruptionBudget. */}}
{{- define "dagwire.companions" -}}
{{- $account := .values.serviceAccount | default dict -}}
{{- if and (ne $account.create false) (not $account.name) (not (.root.Values.global | default dict).serviceAccountName) }}
{{ include "dagwire.object" (dict "root" .root "component" .component "location" .location "apiVersion" "v1" "kind" "ServiceAccount"
  "name" .name "annotations" $account.annotations "body" (dict "automountServiceAccountToken" false) "merge" .values.merge.serviceAccount) }}
{{- end }}
{{- if .values.pdb.enabled }}
{{- $spec := dict "selector" (dict "matchLabels" (include "dagwire.selector" . | fromYaml)) -}}
{{- if not (kindIs "invalid" .values.pdb.minAvailable) }}{{ $_ := set $spec "minAvailable" .values.pdb.minAvailable }}
{{- else }}{{ $_ := set $spec "maxUnavailable" .values.pdb.maxUnavailable }}{{ end }}
{{ include "dagwire.object" (dict "root" .root "component" .component "location" .location "apiVersion" "policy/v1" "kind" "PodDisruptionBudget"
  "name" .name "body" (dict "spec" $spec) "merge" .values.merge.pdb) }}
{{- end }}
{{- end -}}

{{/* A Service before a component's pods; `ports` are {name, port, targetPort}. */}}
{{- define "dagwire.service" -}}
{{- $spec := mergeOverwrite (dict "type" "ClusterIP" "selector" (include "dagwire.selector" . | fromYaml)) .spec -}}
{{ include "dagwire.object" (dict "root" .root "component" .component "location" .location "apiVersion" "v1" "kind" "Service"
  "name" (.serviceName | default .name) "annotations" .annotations "body" (dict "spec" $spec) "merge" .merge) }}
{{- end -}}
