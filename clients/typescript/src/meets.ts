/** The filter of a list. */
export type Wanted = Record<string, unknown>

/**
 * Whether an event belongs to a list, as far as a page can tell: by the plain members of the filter.
 *
 * Only the server can judge a `filter` and times; a list with these waits for the server.
 */
export function meets(event: object, wanted: Wanted): boolean {
  const has = event as Record<string, unknown>
  return Object.entries(wanted).every(([name, value]) => {
    if ((value ?? null) === null) return true
    if (name === 'type') return matches(String(has['type']), String(value))
    if (name === 'hasMetadata') return ((has['metadata'] ?? null) !== null) === value
    if (name === 'producer') return (has['producer'] ?? has['source']) === value
    return PLAIN.has(name) && has[name] === value
  })
}

const PLAIN = new Set(['source', 'subjectId', 'correlationId', 'causationId', 'userId'])

/** A `*` in a pattern stands for one segment of a type; at the end for one or more; by itself for every type. */
function matches(type: string, pattern: string): boolean {
  const segments = type.split('.')
  const wanted = pattern.split('.')
  const isOpen = wanted.at(-1) === '*'
  if (isOpen ? segments.length < wanted.length : segments.length !== wanted.length) return false
  return wanted.every((each, place) => each === '*' || each === segments[place])
}
