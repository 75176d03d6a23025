# From the OpenAPI v3 documents of an API server (slurped into one array) to the one document that the core bundles:
# what the checks read, without descriptions, lists, options, responses and parameters.
# The result is an OpenAPI document again, so that the bundle and a live cluster are read by the same code.

def keep:
  if type == "object" then
    with_entries(select(.key | IN(
      "$ref", "additionalProperties", "allOf", "default", "enum", "format", "items", "properties", "required", "type",
      "x-kubernetes-embedded-resource", "x-kubernetes-group-version-kind", "x-kubernetes-int-or-string",
      "x-kubernetes-list-map-keys", "x-kubernetes-list-type", "x-kubernetes-patch-merge-key",
      "x-kubernetes-preserve-unknown-fields")))
    | if has("properties") then .properties |= map_values(keep) else . end
    | if (.additionalProperties | type) == "object" then .additionalProperties |= keep else . end
    | if has("items") then .items |= keep else . end
    | if has("allOf") then .allOf |= map(keep) else . end
  else . end;

# Definitions that a definition names, to drop those that no kind needs.
def named: [.. | objects | .["$ref"]? | strings | ltrimstr("#/components/schemas/")];

def reachable($all):
  def grow: . as $seen
    | ([$seen[] | $all[.] | named[]] + $seen | unique) as $next
    | if ($next | length) == ($seen | length) then $seen else $next | grow end;
  unique | grow;

(map(.components.schemas // {}) | add | map_values(keep)) as $schemas
| (map(.paths // {}) | add
   # One object of a kind: /api/v1/[namespaces/{namespace}/]<plural>/{name}, /apis/<group>/<version>/…
   | with_entries(select(.key | test("^/(api/[^/]+|apis/[^/]+/[^/]+)/(namespaces/\\{namespace\\}/)?[^/{}]+/\\{name\\}$")))
   | map_values(select(.patch) | {patch: (.patch | {"x-kubernetes-group-version-kind": .["x-kubernetes-group-version-kind"]})}))
  as $paths
| ([$paths[].patch["x-kubernetes-group-version-kind"]] | map({key: "\(.group)/\(.version)/\(.kind)", value: true}) | from_entries)
  as $kinds
| ([$schemas | to_entries[] | select(.value["x-kubernetes-group-version-kind"] // [] | length == 1)
    | select(.value["x-kubernetes-group-version-kind"][0] | $kinds["\(.group)/\(.version)/\(.kind)"]) | .key]
   + ["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"] | reachable($schemas)) as $needed
| {
    paths: $paths,
    components: {schemas: ($needed | map({key: ., value: $schemas[.]}) | from_entries)}
  }
