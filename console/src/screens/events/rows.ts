/** The rows of the table: at most a thousand, in pages by cursor, and what the log got since. */
import type { SynapEvent } from '../../contract'

export const PAGE = 100
export const MOST_ROWS = 1_000

const LARGE = 20_000
const SHORT = 256
const SNIPPET = 160

/** An event without what would fill the memory of a thousand rows. */
export interface Row {
  event: SynapEvent
  agent: string | undefined
  confidence: number | undefined
  snippet: string
}

export function rowOf(event: SynapEvent): Row {
  const { data, metadata } = event
  const isLarge = sizeOf(data, LARGE) >= LARGE
  const kept: SynapEvent = { ...event, data: isLarge ? shortMembers(data) : data }
  delete kept.metadata
  return {
    event: kept,
    agent: metadata?.ai?.agent,
    confidence: metadata?.ai?.confidence?.score,
    snippet: snippetOf(data),
  }
}

/** About how many characters JSON has, counted no further than `most`. */
function sizeOf(value: unknown, most: number): number {
  if (typeof value === 'string') return value.length + 2
  if (typeof value !== 'object' || value === null) return 5
  let size = 2
  for (const [name, member] of Object.entries(value)) {
    size += name.length + 4 + sizeOf(member, most - size)
    if (size >= most) break
  }
  return size
}

function shortMembers(data: Record<string, unknown>): Record<string, unknown> {
  const members = Object.entries(data).slice(0, 100)
  return Object.fromEntries(members.filter(([, value]) => typeof value !== 'object' && String(value).length <= SHORT))
}

/** The beginning of an object, in one line: `title: "Call John", tags: ["a", "b"]`. */
export function snippetOf(data: Record<string, unknown>): string {
  let text = ''
  for (const [name, value] of Object.entries(data)) {
    text += `${text && ', '}${name.slice(0, SNIPPET)}: ${brief(value, SNIPPET - text.length)}`
    if (text.length >= SNIPPET) return `${text.slice(0, SNIPPET)}…`
  }
  return text
}

function brief(value: unknown, most: number): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, Math.max(most, 1)))
  if (typeof value !== 'object' || value === null) return String(value)
  const isList = Array.isArray(value)
  let text = ''
  for (const [name, member] of Object.entries(value)) {
    text += `${text && ', '}${isList ? '' : `${name.slice(0, SNIPPET)}: `}${brief(member, most - text.length)}`
    if (text.length >= most) break
  }
  return isList ? `[${text}]` : `{${text}}`
}

/** The member of `data` at a dotted path, as a text; undefined if there is none. */
export function memberOf(data: Record<string, unknown>, path: string): string | number | boolean | null | undefined {
  let value: unknown = data
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return typeof value === 'object' && value !== null ? brief(value, SNIPPET) : (value as string | number | boolean | null)
}
