import type { Api } from '../../api'
import type { EventFilter, SynapEvent } from '../../contract'

export interface DryRun {
  /** How many of the last events there were, and those of them that the webhook would have got. */
  of: number
  matches: SynapEvent[]
}

const LAST = 1_000

/** What a webhook would have got of the last 1,000 events. The server judges the filter, and this the types. */
export async function dryRun(api: Api, eventTypes: string[], filter: EventFilter | undefined): Promise<DryRun> {
  const newest = await api.events.page.query({ limit: 1 })
  const end = newest.events[0]?.seq ?? -1
  const recent: EventFilter = { seq: { gt: end - LAST, lte: end } }
  const { total } = await api.events.page.query({ limit: 1, filter: recent })
  const matches: SynapEvent[] = []
  let cursor: string | undefined
  do {
    const page = await api.events.page.query({ limit: LAST, cursor, filter: filter ? { AND: [recent, filter] } : recent })
    matches.push(...page.events.filter(({ type }) => eventTypes.some((pattern) => isOf(type, pattern))))
    cursor = page.nextCursor
  } while (cursor)
  return { of: total, matches }
}

/** Whether a type matches a pattern: `*` stands for one segment, and at the end for one or more. */
export function isOf(type: string, pattern: string): boolean {
  const segments = type.split('.')
  const wanted = pattern.split('.')
  const isOpen = wanted.at(-1) === '*'
  if (isOpen ? segments.length < wanted.length : segments.length !== wanted.length) return false
  return wanted.every((each, place) => each === '*' || each === segments[place])
}
