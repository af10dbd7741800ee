/** The least that a JSON Schema asks for, as a value to begin with. */
export type Schema = Record<string, unknown>

/** The properties of an object's schema, by name. */
export function propertiesOf(schema: Schema | undefined): Record<string, Schema> {
  return (schema && (resolved(schema, schema)['properties'] as Record<string, Schema> | undefined)) || {}
}

/** The names of its properties that may be absent. */
export function optionalOf(schema: Schema): string[] {
  const required = (resolved(schema, schema)['required'] as string[] | undefined) ?? []
  return Object.keys(propertiesOf(schema)).filter((name) => !required.includes(name))
}

export function skeleton(schema: Schema, root: Schema = schema): unknown {
  const { type, properties = {}, required = [], items, enum: values, minimum, minItems, format, const: only } = resolved(schema, root) as {
    type?: string | string[]
    properties?: Record<string, Schema>
    required?: string[]
    items?: Schema
    enum?: unknown[]
    minimum?: number
    minItems?: number
    format?: string
    const?: unknown
  }
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

/** What a schema refers to, or the first of its alternatives that is not null. */
function resolved(schema: Schema, root: Schema): Schema {
  const reference = typeof schema['$ref'] === 'string' ? /^#\/\$defs\/([^/]+)$/.exec(schema['$ref']) : null
  if (reference) return resolved((root['$defs'] as Record<string, Schema> | undefined)?.[reference[1] ?? ''] ?? {}, root)
  const choices = (schema['anyOf'] ?? schema['oneOf']) as Schema[] | undefined
  const choice = choices?.find(({ type }) => type !== 'null')
  return choice ? resolved(choice, root) : schema
}
