{{/* Every template begins with this: it brings the values into their final form, once. Dagster's keys become ours,
each component gets the pod settings of `common` that it does not set itself, and what cannot work is refused. */}}
{{- define "dagwire.init" -}}
{{- if not (hasKey .Values "initialised") -}}
{{- $_ := set .Values "initialised" true -}}
{{- include "dagwire.dagster" . -}}
{{- range $name := list "dagit" "scheduler" "launcher" "eventstore" "migrate" "nats" "postgresql" "test" -}}
  {{- $own := get $.Values $name | default dict -}}
  {{- $values := include "dagwire.withCommon" (list $.Values.common $own) | fromJson -}}
  {{- $image := $own.image | default dict -}}
  {{- $inherited := ternary (pick $.Values.image "registry" "pullPolicy") $.Values.image (hasKey $image "repository") -}}
  {{- $_ := set $values "image" (mergeOverwrite (deepCopy $inherited) $image) -}}
  {{- $_ := set $.Values $name $values -}}
{{- end -}}
{{- $_ := set .Values "userDeployments" (include "dagwire.userDeployments" . | fromJsonArray) -}}
{{- include "dagwire.validate" . -}}
{{- end -}}
{{- end -}}

{{/* A component's values over those of `common`; their variables are joined, whatever form they have. JSON. */}}
{{- define "dagwire.withCommon" -}}
{{- $common := index . 0 -}}{{- $own := index . 1 -}}
{{- $env := include "dagwire.env" (list ($common.env | default list) ($own.env | default list)) | fromJsonArray -}}
{{- toJson (mergeOverwrite (deepCopy $common) (deepCopy $own) (dict "env" $env)) -}}
{{- end -}}

{{/* The code servers as a list, with the pod settings of `common`. A map is keyed by name; Dagster's has the list in
`deployments`, which `enableSubchart: false` leaves to another release: then they are servers of the workspace. JSON. */}}
{{- define "dagwire.userDeployments" -}}
{{- $entries := .Values.userDeployments | default list -}}{{- $elsewhere := false -}}
{{- if and (kindIs "map" $entries) (or (hasKey $entries "deployments") (kindIs "bool" $entries.enabled)) -}}
  {{- $elsewhere = eq (toString $entries.enableSubchart) "false" -}}
  {{- with $entries.imagePullSecrets }}{{ $_ := set $.Values "imagePullSecrets" (concat $.Values.imagePullSecrets .) }}{{ end -}}
  {{- $entries = ternary list ($entries.deployments | default list) (eq (toString $entries.enabled) "false") -}}
{{- end -}}
{{- $list := list -}}
{{- if kindIs "map" $entries -}}
  {{- range $name, $entry := $entries }}{{ $list = append $list (merge (dict "name" $name) $entry) }}{{ end -}}
{{- else -}}
  {{- $list = $entries -}}
{{- end -}}
{{- $complete := list -}}
{{- range $list -}}
  {{- $own := mergeOverwrite (deepCopy $.Values.userDeploymentDefaults) . -}}
  {{- $values := include "dagwire.withCommon" (list $.Values.common $own) | fromJson -}}
  {{- if $elsewhere -}}
    {{- $_ := set $.Values.workspace "servers" (append $.Values.workspace.servers (dict "name" .name "host" .name "port" $values.port)) -}}
  {{- else -}}
    {{- range $probe := list "startupProbe" "readinessProbe" "livenessProbe" -}}
      {{- if contains "grpc-health-check" (toJson (get $values $probe)) }}{{ $_ := set $values $probe (omit (get $values $probe) "exec") }}{{ end -}}
    {{- end -}}
    {{- $complete = append $complete $values -}}
  {{- end -}}
{{- end -}}
{{- toJson $complete -}}
{{- end -}}

{{/* What the schema cannot see. Everything that is wrong is told at once. */}}
{{- define "dagwire.validate" -}}
{{- $wrong := list -}}
{{- $v := .Values -}}
{{- if not $v.userCodeOnly -}}
  {{- if not (or $v.nats.enabled $v.nats.url) }}{{ $wrong = append $wrong "nats.url: give the address of your NATS server, because nats.enabled is false" }}{{ end -}}
  {{- if not (or $v.nats.enabled $v.nats.auth.existingSecret) }}{{ $wrong = append $wrong "nats.auth.existingSecret: name the Secret with the passwords of your NATS server, because nats.enabled is false" }}{{ end -}}
  {{- if not (or $v.postgresql.enabled $v.postgresql.host $v.postgresql.auth.keys.host) }}{{ $wrong = append $wrong "postgresql.host: give the address of your database, because postgresql.enabled is false" }}{{ end -}}
  {{- if not (or $v.postgresql.enabled $v.postgresql.auth.existingSecret $v.postgresql.auth.passwords.owner) }}{{ $wrong = append $wrong "postgresql.auth.existingSecret: name the Secret with the passwords of your database, because postgresql.enabled is false" }}{{ end -}}
  {{- $servers := ((lookup "apps/v1" "StatefulSet" .Release.Namespace (printf "%s-nats" (include "dagwire.fullname" .))).spec | default dict).replicas -}}
  {{- if and $v.nats.enabled $servers (ne (int $servers) (int $v.nats.replicaCount)) }}{{ $wrong = append $wrong (printf "nats.replicaCount: there are %d servers, and their streams cannot become those of %d in place; docs/how-to/install-with-helm.md says how to move" (int $servers) (int $v.nats.replicaCount)) }}{{ end -}}
{{- else if not $v.userDeployments -}}
  {{- $wrong = append $wrong "userDeployments: list at least one, because userCodeOnly is true" -}}
{{- end -}}
{{- $names := list -}}
{{- range $v.userDeployments -}}
  {{- if has .name $names }}{{ $wrong = append $wrong (printf "userDeployments: the name %s is given twice" .name) }}{{ end -}}
  {{- if hasPrefix (printf "%s-" (include "dagwire.fullname" $)) .name }}{{ $wrong = append $wrong (printf "userDeployments: the name %s could be one of this release's own; do not begin it with %s-" .name (include "dagwire.fullname" $)) }}{{ end -}}
  {{- $names = append $names .name -}}
{{- end -}}
{{- range $v.workspace.servers -}}
  {{- $name := .name | default .host -}}
  {{- if has $name $names }}{{ $wrong = append $wrong (printf "workspace.servers: the name %s is given twice; userDeployments are listed by themselves" $name) }}{{ end -}}
  {{- $names = append $names $name -}}
{{- end -}}
{{- if $wrong }}{{ fail (printf "\n\nThese values cannot work:\n  - %s\n" (join "\n  - " $wrong)) }}{{ end -}}
{{- end -}}
