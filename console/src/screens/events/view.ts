/** What the events screen shows, as its address says it. */
import type { EventFilter } from '../../contract'
import type { Query } from '../../router'

export type Filter = Record<string, unknown>
export type Scalar = string | number | boolean | null

export interface View {
  /** The filter language's JSON, whole: the builder edits parts of it. */
  filter: Filter
  /** How far back, such as `1h`; or the times `from` and `to`. */
  range: string | undefined
  from: string | undefined
  to: string | undefined
  columns: string[]
  live: boolean
  /** The cursor that the first page begins after. */
  at: string | undefined
}

export const RANGES: Record<string, number> = { '15m': 900, '1h': 3_600, '24h': 86_400, '7d': 604_800, '30d': 2_592_000 }

export const DEFAULT_COLUMNS = ['time', 'type', 'subject', 'user', 'source', 'agent', 'confidence', 'data']

export function viewOf(query: URLSearchParams): View {
  const range = query.get('range') ?? ''
  return {
    filter: parsedFilter(query.get('filter') ?? '') ?? {},
    range: Object.hasOwn(RANGES, range) ? range : undefined,
    from: query.get('from') ?? undefined,
    to: query.get('to') ?? undefined,
    columns: query.get('columns')?.split(' ').filter(Boolean) ?? DEFAULT_COLUMNS,
    live: query.has('live'),
    at: query.get('at') ?? undefined,
  }
}

export function queryOf({ filter, range, from, to, columns, live, at }: View): Query {
  const isDefault = columns.join(' ') === DEFAULT_COLUMNS.join(' ')
  return {
    filter: Object.keys(filter).length > 0 ? JSON.stringify(filter) : undefined,
    range,
    from,
    to,
    columns: isDefault ? undefined : columns.join(' '),
    live: live ? '1' : undefined,
    at,
  }
}

/** The filter in a text, or undefined if it is not a JSON object. */
export function parsedFilter(text: string): Filter | undefined {
  if (!text.trim()) return {}
  try {
    const value: unknown = JSON.parse(text)
    return isFilter(value) ? value : undefined
  } catch {
    return undefined
  }
}

const isFilter = (value: unknown): value is Filter => typeof value === 'object' && value !== null && !Array.isArray(value)

/** What the procedures get. A type such as `code.*` is a pattern, which an index serves. */
export interface Wanted {
  filter?: EventFilter
  type?: string
  from?: string
  to?: string
}

export function wantedOf({ filter, range, from, to }: View): Wanted {
  const { type, ...others } = filter
  const pattern = isFilter(type) && Object.keys(type).length === 1 && typeof type['like'] === 'string' ? type['like'] : ''
  const isPattern = /^[\w-]+(\.[\w-]+)*\.\*$/.test(pattern)
  const asked = isPattern ? others : filter
  const begin = range === undefined ? from : new Date(Date.now() - (RANGES[range] ?? 0) * 1_000).toISOString()
  return {
    ...(Object.keys(asked).length > 0 ? { filter: asked as EventFilter } : {}),
    ...(isPattern ? { type: pattern } : {}),
    ...(begin ? { from: begin } : {}),
    ...(to && range === undefined ? { to } : {}),
  }
}

/** The filter with the value of a field as the only one, or without that value. */
export function picked(filter: Filter, field: string, value: Scalar, exclude: boolean): Filter {
  if (!exclude) return { ...filter, [field]: value }
  if (value === null) return { ...filter, [field]: { isNull: false } }
  const { nin, ne, ...others } = isFilter(filter[field]) ? filter[field] : {}
  const known = [...(Array.isArray(nin) ? nin : []), ...(ne === undefined ? [] : [ne])]
  const values = [...new Set([...known, value])]
  return { ...filter, [field]: { ...others, ...(values.length === 1 ? { ne: value } : { nin: values }) } }
}

export function without(filter: Filter, field: string): Filter {
  const { [field]: _, ...others } = filter
  return others
}

/** What a field of the builder shows: a text, or nothing if the condition is another one. */
export function simple(filter: Filter, field: string): string {
  const value = filter[field]
  if (typeof value === 'string') return value
  return isFilter(value) && Object.keys(value).length === 1 && typeof value['like'] === 'string' ? value['like'] : ''
}

/** The filter with what was typed into a field of the builder; a `*` stands for any text. */
export function typed(filter: Filter, field: string, text: string): Filter {
  const value = text.trim()
  if (!value) return without(filter, field)
  return { ...filter, [field]: value.includes('*') ? { like: value } : value }
}
