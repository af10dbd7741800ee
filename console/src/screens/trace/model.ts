import type { Trace, TracedEvent } from '../../contract'

export interface Branch {
  event: TracedEvent
  level: number
  children: Branch[]
}

/** Causes and effects as one tree. The chain of causes leads to the event, and its effects stand below it. */
export function treeOf(trace: Trace): Branch {
  const chain = [...trace.ancestors].reverse()
  const branches = new Map<string, Branch>()
  const root = branchOf(chain[0] ?? trace.event, 0)
  branches.set(root.event.id, root)
  let above = root
  for (const event of [...chain, trace.event].slice(1)) {
    const branch = branchOf(event, above.level + 1)
    branches.set(event.id, branch)
    above.children.push(branch)
    above = branch
  }
  for (const event of trace.descendants) {
    const cause = branches.get(event.causationId?.toLowerCase() ?? '')
    if (!cause) continue
    const branch = branchOf(event, cause.level + 1)
    branches.set(event.id, branch)
    cause.children.push(branch)
  }
  return root
}

const branchOf = (event: TracedEvent, level: number): Branch => ({ event, level, children: [] })

/** The branches that are seen, from top to bottom. Not by recursion: a chain may be a thousand long. */
export function unfolded(root: Branch, folded: ReadonlySet<string>): Branch[] {
  const seen: Branch[] = []
  const open = [root]
  for (let branch = open.pop(); branch; branch = open.pop()) {
    seen.push(branch)
    if (!folded.has(branch.event.id)) open.push(...branch.children.toReversed())
  }
  return seen
}

export interface Dot {
  event: TracedEvent
  lane: number
  /** From 0 to 1, over the time of the trace. */
  place: number
}

export interface Lanes {
  names: string[]
  dots: Dot[]
  from: string
  to: string
}

/** The events over time, each on the lane that `nameOf` says; the lane of the first event is on top. */
export function lanesOf(events: TracedEvent[], nameOf: (event: TracedEvent) => string): Lanes {
  const ordered = events.toSorted((one, other) => one.seq - other.seq)
  const names = [...new Set(ordered.map(nameOf))]
  const [from, to] = [ordered[0]?.timestamp ?? '', ordered.at(-1)?.timestamp ?? '']
  const start = microsecondsOf(from)
  const length = Math.max(1, microsecondsOf(to) - start)
  const dots = ordered.map((event) => ({
    event,
    lane: names.indexOf(nameOf(event)),
    place: (microsecondsOf(event.timestamp) - start) / length,
  }))
  return { names, dots, from, to }
}

/** A Date has milliseconds only, and events of one batch are closer together. */
export function microsecondsOf(instant: string): number {
  const [, whole = '', fraction = ''] = /^(.{19})\.?(\d*)Z$/.exec(instant) ?? []
  return Date.parse(`${whole}Z`) * 1_000 + Number(fraction.padEnd(6, '0').slice(0, 6))
}
