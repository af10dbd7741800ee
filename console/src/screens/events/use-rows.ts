import { useEffect, useRef, useState } from 'preact/hooks'
import { failureOf, isCancelled, type Failure } from '../../api'
import type { EventPage, SynapEvent } from '../../contract'
import { useAccess } from '../../key'
import { retryAfter } from '../../retry'
import { MOST_ROWS, PAGE, rowOf, type Row } from './rows'
import type { Wanted } from './view'

interface Page {
  rows: Row[]
  /** The cursor that this page begins after; undefined for the newest page, null if it is not known. */
  at: string | undefined | null
  older: string | undefined
  newer: string | undefined
}

export interface Rows {
  rows: Row[]
  pages: Page[]
  total: number | undefined
  loading: 'first' | 'older' | 'newer' | undefined
  slow: boolean
  failure: Failure | undefined
  older: (() => void) | undefined
  newer: (() => void) | undefined
  retry: () => void
  /** Put events on top, newest first. */
  add: (events: SynapEvent[]) => void
}

interface State {
  key: string
  pages: Page[]
  total?: number | undefined
  loading?: Rows['loading']
  slow?: boolean
  failure?: Failure
}

const SLOW_MS = 3_000

/** The rows that match, from `at` on. `key` says when they are others. */
export function useRows(key: string, wanted: () => Wanted, at: string | undefined): Rows {
  const { api } = useAccess()
  const [state, setState] = useState<State>({ key, pages: [], loading: 'first' })
  const [round, setRound] = useState(0)
  const calling = useRef(new AbortController())
  const failures = useRef(0)
  const input = useRef<Wanted>({})

  const load = (kind: 'first' | 'older' | 'newer', cursor: string | undefined) => {
    calling.current.abort()
    const mine = (calling.current = new AbortController())
    const direction = kind === 'newer' ? ('backward' as const) : ('forward' as const)
    const slow = setTimeout(() => setState((before) => ({ ...before, slow: true })), SLOW_MS)
    setState((before) => ({ ...settled(before), loading: kind }))
    api.events.page
      .query({ ...input.current, limit: PAGE, ...(cursor ? { cursor, direction } : {}) }, { signal: mine.signal })
      .then(
        (page) => {
          failures.current = 0
          if (!mine.signal.aborted) setState((before) => joined(before, key, kind, pageOf(page, kind, cursor), page.total))
        },
        (error: unknown) => {
          if (mine.signal.aborted || isCancelled(error)) return
          const failure = failureOf(error, failures.current++)
          setState((before) => ({ ...settled(before), key, failure }))
          if (failure.retryMs !== undefined) retryAfter(failure.retryMs, mine.signal, () => load(kind, cursor))
        },
      )
      .finally(() => clearTimeout(slow))
  }

  useEffect(() => {
    input.current = wanted()
    setState((before) => ({ ...before, loading: 'first' }))
    load('first', at)
    return () => calling.current.abort()
  }, [key, round])

  const { pages } = state
  const next = pages.at(-1)?.older
  const previous = pages[0]?.newer
  return {
    rows: pages.flatMap(({ rows }) => rows),
    pages,
    total: state.total,
    loading: state.key === key ? state.loading : 'first',
    slow: state.slow ?? false,
    failure: state.failure,
    older: next && !state.loading ? () => load('older', next) : undefined,
    newer: previous && !state.loading ? () => load('newer', previous) : undefined,
    retry: () => setRound((number) => number + 1),
    add: (events) => setState((before) => added(before, events)),
  }
}

/** Without what is said of a call that has ended. */
function settled({ key, pages, total }: State): State {
  return { key, pages, total }
}

function pageOf({ events, nextCursor, previousCursor }: EventPage, kind: string, cursor: string | undefined): Page {
  const at = kind === 'newer' ? (previousCursor === undefined ? undefined : null) : cursor
  return { rows: events.map(rowOf), at, older: nextCursor, newer: previousCursor }
}

/** The pages with one more, and without those at the other end that are too many. */
function joined(before: State, key: string, kind: 'first' | 'older' | 'newer', page: Page, total: number): State {
  const pages = kind === 'first' ? [page] : kind === 'older' ? [...before.pages, page] : [page, ...before.pages]
  while (pages.length > 1 && pages.reduce((sum, { rows }) => sum + rows.length, 0) > MOST_ROWS) {
    if (kind === 'newer') pages.pop()
    else pages.shift()
  }
  return { key, pages, total }
}

/** New events stand in a page of their own, which has no cursors. */
function added(before: State, events: SynapEvent[]): State {
  const known = new Set(before.pages[0]?.rows.slice(0, events.length).map(({ event }) => event.id))
  const fresh = events.filter(({ id }) => !known.has(id)).map(rowOf)
  if (fresh.length === 0) return before
  const [first, ...others] = before.pages
  const isOwn = first !== undefined && first.at === null && first.older === undefined && first.newer === undefined
  const top: Page = { rows: isOwn ? [...fresh, ...first.rows] : fresh, at: null, older: undefined, newer: undefined }
  const pages = isOwn ? [top, ...others] : [top, ...before.pages]
  let room = MOST_ROWS
  const kept: Page[] = []
  for (const page of pages) {
    if (room <= 0) break
    kept.push(page.rows.length <= room ? page : { ...page, rows: page.rows.slice(0, room), older: undefined })
    room -= page.rows.length
  }
  return { ...before, pages: kept, total: before.total === undefined ? undefined : before.total + fresh.length }
}
