/** What a JSON Schema says of values: the parts that the server's schemas have. */
export interface Schema {
  type?: string | string[]
  description?: string
  properties?: Record<string, Schema>
  patternProperties?: object
  additionalProperties?: unknown
  required?: string[]
  items?: Schema
  enum?: unknown[]
  const?: unknown
  minimum?: number
  minItems?: number
  format?: string
  anyOf?: Schema[]
  oneOf?: Schema[]
  allOf?: { if?: Schema; then?: Schema }[]
  $ref?: string
  $defs?: Record<string, Schema>
}

/** The schemas of an object's members, by name. Some depend on what the object has in other members. */
export function membersOf(given: Schema, root: Schema, value: Record<string, unknown> = {}): Record<string, Schema> {
  const schema = resolved(given, root)
  const depending = (schema.allOf ?? []).filter(({ if: when }) => Object.entries(when?.properties ?? {}).every(([name, { const: only }]) => value[name] === only))
  return Object.assign({}, schema.properties, ...depending.map(({ then }) => then?.properties))
}

/** The least that a schema asks for, as a value to begin with. */
export function skeleton(given: Schema, root: Schema = given): unknown {
  const { type, required = [], items, enum: values, minimum, minItems, format, const: only, properties = {} } = resolved(given, root)
  if (only !== undefined || values) return only ?? values?.[0]
  switch (Array.isArray(type) ? type[0] : type) {
    case 'string':
      return format === 'date-time' ? new Date().toISOString() : ''
    case 'number':
    case 'integer':
      return minimum ?? 0
    case 'boolean':
      return false
    case 'array':
      return items && minItems ? [skeleton(items, root)] : []
    default:
      return Object.fromEntries(required.map((name) => [name, skeleton(properties[name] ?? {}, root)]))
  }
}

/** What a schema refers to, or its only alternative that is not null. */
export function resolved(schema: Schema, root: Schema): Schema {
  const name = /^#\/\$defs\/([^/]+)$/.exec(schema.$ref ?? '')?.[1]
  if (name) return resolved(root.$defs?.[name] ?? {}, root)
  const choices = (schema.anyOf ?? schema.oneOf)?.filter(({ type }) => type !== 'null')
  return choices?.length === 1 && choices[0] ? resolved(choices[0], root) : schema
}
