{{/* What an entry of `userDeployments` gives to the runs that are launched from it. JSON; {} if nothing. */}}
{{- define "dagwire.userCode.runLayer" -}}
{{- $layer := dict -}}
{{- if .includeConfigInLaunchedRuns.enabled -}}
  {{- with include "dagwire.env" (list (.env | default list)) | fromJsonArray }}{{ $_ := set $layer "env" . }}{{ end -}}
  {{- with include "dagwire.envFrom" . | fromJsonArray }}{{ $_ := set $layer "envFrom" . }}{{ end -}}
  {{- range list "volumes" "volumeMounts" "labels" "imagePullSecrets" -}}
    {{- if get $ . }}{{ $_ := set $layer . (get $ .) }}{{ end -}}
  {{- end -}}
  {{- if (.serviceAccount | default dict).name }}{{ $_ := set $layer "serviceAccountName" .serviceAccount.name }}{{ end -}}
{{- end -}}
{{- with .image.pullPolicy }}{{ $_ := set $layer "imagePullPolicy" . }}{{ end -}}
{{- toJson (mergeOverwrite $layer (deepCopy (.runConfig | default dict))) -}}
{{- end -}}

{{/* The arguments of the code server. `codeServerArgs` are for code that changes in place: it is loaded again then. */}}
{{- define "dagwire.userCode.command" -}}
{{- $values := .values -}}
{{- $command := list "dagwire" "api" "grpc" "-h" "0.0.0.0" "-p" (toString $values.port) -}}
{{- if $values.codeServerArgs }}{{ $command = append $command "--watch" }}{{ end -}}
{{- range concat ($values.dagsterApiGrpcArgs | default list) ($values.codeServerArgs | default list) }}{{ $command = append $command (toString .) }}{{ end -}}
{{- toJson $command -}}
{{- end -}}

{{- define "dagwire.userCode.pod" -}}
{{- $root := .root -}}{{- $values := .values -}}
container:
  name: user-code
  command: {{ include "dagwire.userCode.command" . }}
  ports: [{name: grpc, containerPort: {{ $values.port }}}]
  startupProbe: {grpc: {port: {{ $values.port }}}, periodSeconds: 1, timeoutSeconds: 5, failureThreshold: 300}
  readinessProbe: {grpc: {port: {{ $values.port }}}, periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 3}
  livenessProbe: {grpc: {port: {{ $values.port }}}, periodSeconds: 20, timeoutSeconds: 10, failureThreshold: 6}
  # Clients hear of the next server before this one stops.
  lifecycle: {preStop: {sleep: {seconds: 5}}}
env:
  - {name: DAGWIRE_LOCATION_NAME, value: {{ $values.name | quote }}}
  - {name: DAGWIRE_CURRENT_IMAGE, value: {{ include "dagwire.image" (dict "root" $root "image" $values.image) | quote }}}
  - {name: DAGWIRE_LOG_LEVEL, value: {{ $root.Values.logLevel }}}
  - {name: DAGWIRE_LOG_FORMAT, value: {{ $root.Values.logFormat }}}
  {{- if $root.Values.userCodeOnly }}
  - {name: DAGWIRE_CONTAINER_CONTEXT, value: {{ dict "k8s" (include "dagwire.userCode.runLayer" $values | fromJson) | toJson | quote }}}
  {{- end }}
annotations:
  dagwire/values: {{ toJson $values | sha256sum | trunc 32 }}
{{- end -}}
