{{/* A Deployment of a component with its ServiceAccount and PodDisruptionBudget. Takes what dagwire.podTemplate takes. */}}
{{- define "dagwire.deployment" -}}
{{- $spec := dict "selector" (dict "matchLabels" (include "dagwire.selector" . | fromYaml)) "template" (include "dagwire.podTemplate" . | fromJson) -}}
{{- if not (.values.autoscaling | default dict).enabled }}{{ $_ := set $spec "replicas" .values.replicaCount }}{{ end -}}
{{- with .values.strategy }}{{ $_ := set $spec "strategy" . }}{{ end -}}
{{ include "dagwire.companions" . }}
{{ include "dagwire.object" (dict "root" .root "component" .component "location" .location "apiVersion" "apps/v1" "kind" "Deployment" "name" .name
  "body" (dict "spec" $spec) "merge" .values.merge.deployment) }}
{{- end -}}

{{/* A StatefulSet likewise; `claim` is the size and class of the volume "data" that each pod keeps. */}}
{{- define "dagwire.statefulSet" -}}
{{- $claim := dict "accessModes" .values.storage.accessModes "resources" (dict "requests" (dict "storage" .values.storage.size)) -}}
{{- if not (kindIs "invalid" .values.storage.storageClassName) }}{{ $_ := set $claim "storageClassName" .values.storage.storageClassName }}{{ end -}}
{{- $spec := dict "selector" (dict "matchLabels" (include "dagwire.selector" . | fromYaml)) "template" (include "dagwire.podTemplate" . | fromJson)
  "replicas" .values.replicaCount "serviceName" .serviceName "podManagementPolicy" "Parallel"
  "volumeClaimTemplates" (list (dict "metadata" (dict "name" "data") "spec" $claim)) -}}
{{- with .values.strategy }}{{ $_ := set $spec "updateStrategy" . }}{{ end -}}
{{ include "dagwire.companions" . }}
{{ include "dagwire.object" (dict "root" .root "component" .component "apiVersion" "apps/v1" "kind" "StatefulSet" "name" .name
  "body" (dict "spec" $spec) "merge" .values.merge.statefulSet) }}
{{- end -}}
