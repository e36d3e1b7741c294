{{/* A pod template: what the chart needs (`pod`: {container, env, volumes, volumeMounts, initContainers, spec,
annotations}) with the pod settings of the values laid over it. Takes root, component, name, values, pod. JSON. */}}
{{- define "dagwire.podTemplate" -}}
{{- $v := .values -}}{{- $pod := .pod -}}{{- $merge := $v.merge | default dict -}}
{{- with $pod.Error }}{{ fail (printf "the pod of %s: %s" $.component .) }}{{ end -}}
{{- $main := include "dagwire.container" . | fromJson -}}
{{- $inits := list -}}
{{- range $pod.initContainers }}{{ $inits = append $inits (merge . (dict "securityContext" $v.securityContext)) }}{{ end -}}
{{- range $v.initContainers }}{{ $inits = append $inits (include "dagwire.foreignContainer" (list . $v) | fromJson) }}{{ end -}}
{{- $containers := list $main -}}
{{- range $v.sidecarContainers }}{{ $containers = append $containers (include "dagwire.foreignContainer" (list . $v) | fromJson) }}{{ end -}}
{{- $volumes := concat (list (dict "name" "tmp" "emptyDir" (dict))) ($pod.volumes | default list) ($v.volumes | default list) -}}
{{- $spec := dict "containers" $containers "volumes" $volumes "enableServiceLinks" false "automountServiceAccountToken" false
  "serviceAccountName" (include "dagwire.serviceAccountName" .) "securityContext" $v.podSecurityContext -}}
{{- with $inits }}{{ $_ := set $spec "initContainers" . }}{{ end -}}
{{- with include "dagwire.pullSecrets" . | fromJsonArray }}{{ $_ := set $spec "imagePullSecrets" . }}{{ end -}}
{{- with include "dagwire.spread" . | fromJsonArray }}{{ $_ := set $spec "topologySpreadConstraints" . }}{{ end -}}
{{- range list "nodeSelector" "affinity" "tolerations" "priorityClassName" "schedulerName" "runtimeClassName" "terminationGracePeriodSeconds" -}}
  {{- if get $v . }}{{ $_ := set $spec . (get $v .) }}{{ end -}}
{{- end -}}
{{- $labels := mergeOverwrite (deepCopy ($v.labels | default dict)) (include "dagwire.podLabels" . | fromYaml) -}}
{{- $metadata := dict "labels" $labels -}}
{{- with merge (deepCopy ($v.annotations | default dict)) ($pod.annotations | default dict) }}{{ $_ := set $metadata "annotations" . }}{{ end -}}
{{- $spec = mergeOverwrite $spec ($pod.spec | default dict) (deepCopy ($merge.pod | default dict)) -}}
{{- toJson (dict "metadata" $metadata "spec" $spec) -}}
{{- end -}}

{{/* The main container. JSON. */}}
{{- define "dagwire.container" -}}
{{- $v := .values -}}{{- $pod := .pod -}}
{{- $main := mergeOverwrite (dict "name" .component "image" (include "dagwire.image" (dict "root" .root "image" $v.image))
  "imagePullPolicy" $v.image.pullPolicy "securityContext" $v.securityContext) $pod.container -}}
{{- with include "dagwire.env" (list ($pod.env | default list) ($v.env | default list)) | fromJsonArray }}{{ $_ := set $main "env" . }}{{ end -}}
{{- with include "dagwire.envFrom" $v | fromJsonArray }}{{ $_ := set $main "envFrom" . }}{{ end -}}
{{- with $v.resources }}{{ $_ := set $main "resources" . }}{{ end -}}
{{- $_ := set $main "volumeMounts" (concat (list (dict "name" "tmp" "mountPath" "/tmp")) ($pod.volumeMounts | default list) ($v.volumeMounts | default list)) -}}
{{- range $kind := list "startupProbe" "readinessProbe" "livenessProbe" -}}
  {{- $probe := include "dagwire.probe" (list (get $main $kind | default dict) (get $v $kind | default dict)) | fromJson -}}
  {{- if $probe }}{{ $_ := set $main $kind $probe }}{{ else }}{{ $_ := unset $main $kind }}{{ end -}}
{{- end -}}
{{- toJson (mergeOverwrite $main (deepCopy (($v.merge | default dict).container | default dict))) -}}
{{- end -}}

{{/* A probe: the values' settings over the chart's. Another kind of check replaces the chart's; `enabled: false` removes it. */}}
{{- define "dagwire.probe" -}}
{{- $chart := deepCopy (index . 0) -}}{{- $own := deepCopy (index . 1) -}}
{{- $checks := list "httpGet" "grpc" "exec" "tcpSocket" -}}
{{- range $check := $checks -}}
  {{- if hasKey $own $check }}{{ range without $checks $check }}{{ $_ := unset $chart . }}{{ end }}{{ end -}}
{{- end -}}
{{- if eq $own.enabled false }}{}{{ else }}{{ toJson (omit (mergeOverwrite $chart $own) "enabled") }}{{ end -}}
{{- end -}}

{{/* A container of the user's: what Pod Security "restricted" asks for, unless it says otherwise. JSON. */}}
{{- define "dagwire.foreignContainer" -}}
{{- $restricted := dict "securityContext" (omit (index . 1).securityContext "readOnlyRootFilesystem") -}}
{{- toJson (mergeOverwrite (deepCopy $restricted) (index . 0)) -}}
{{- end -}}

{{/* Names of pull secrets as Kubernetes wants them; plain names are welcome too. JSON. */}}
{{- define "dagwire.pullSecrets" -}}
{{- $list := list -}}
{{- range concat (.root.Values.imagePullSecrets | default list) ((.root.Values.global | default dict).imagePullSecrets | default list) (.values.imagePullSecrets | default list) -}}
  {{- $list = append $list (ternary . (dict "name" .) (kindIs "map" .)) -}}
{{- end -}}
{{- toJson ($list | uniq) -}}
{{- end -}}

{{/* Spread over machines where that is possible, unless the values say how. A constraint without labelSelector is
meant for the component's own pods. JSON. */}}
{{- define "dagwire.spread" -}}
{{- $selector := dict "matchLabels" (include "dagwire.selector" . | fromYaml) -}}
{{- $list := list -}}
{{- range .values.topologySpreadConstraints -}}
  {{- $list = append $list (merge (deepCopy .) (dict "labelSelector" $selector)) -}}
{{- else -}}
  {{- $list = list (dict "maxSkew" 1 "topologyKey" "kubernetes.io/hostname" "whenUnsatisfiable" "ScheduleAnyway" "labelSelector" $selector) -}}
{{- end -}}
{{- toJson $list -}}
{{- end -}}
