import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import { Icon } from '../../components/icon'
import { Empty, FailureNotice, Waiting } from '../../components/states'
import { Table } from '../../components/table'
import { useHotkeys } from '../../hotkeys'
import { useAccess } from '../../key'
import { changeQuery, to, useRoute } from '../../router'
import { numberOf, offsetOf, ZONE } from '../../shown'
import * as textSaid from '../../text/common'
import { words as text } from '../../text/common'
import * as eventsSaid from '../../text/events'
import { words as eventsWords } from '../../text/events'
import * as liveSaid from '../../text/live'
import { words as liveWords } from '../../text/live'
import { COLUMN_NAMES, columnsOf, type OnPick } from './columns'
import { ExportMenu } from './export'
import { FilterBar } from './filter-bar'
import { Histogram } from './histogram'
import { remember } from './list'
import type { Row } from './rows'
import { ColumnsMenu, SavedViews } from './saved'
import { useLive, type Live } from './use-live'
import { useRows, type Rows } from './use-rows'
import { picked, queryOf, viewOf, wantedOf, type View } from './view'

const ROW_HEIGHT = 30
const NEAR = 600

/** The log, newest first: filtered, counted, followed, exported. */
export function EventsScreen() {
  const { workspace } = useAccess()
  const { query } = useRoute()
  const view = useMemo(() => viewOf(query), [query])
  const { at, live: isLive, columns: names, ...asked } = view
  const id = JSON.stringify([workspace, asked, isLive])
  const change = (changes: Partial<View>) => changeQuery(queryOf({ ...view, at: undefined, ...changes }))
  const box = useRef<HTMLDivElement>(null)
  const rows = useRows(id, () => wantedOf(view), isLive ? undefined : at)
  const isFirstThere = rows.pages.length > 0 && rows.loading !== 'first'
  const live = useLive(
    isLive && isFirstThere ? id : undefined,
    () => ({ wanted: withoutRange(wantedOf(view)), behind: rows.rows[0]?.event.id }),
    () => (box.current?.scrollTop ?? 0) > ROW_HEIGHT,
    rows.add,
  )
  const [current, setCurrent] = useCurrent(rows.rows)
  useKeptPlace(box, rows)
  usePlaceInAddress(box, rows, isLive)
  useFilledBox(box, rows)

  const onPick = useStable<OnPick>((field, value, exclude) => change({ filter: picked(view.filter, field, value, exclude) }))
  const columns = useMemo(() => columnsOf(names, onPick), [names.join(' ')])
  remember(to(['events'], queryOf(view)), rows.rows.map(({ event }) => event.id))
  useHotkeys({
    '/': () => document.querySelector<HTMLElement>('[data-filter="filter.type"]')?.focus(),
    j: () => setCurrent(1),
    k: () => setCurrent(-1),
    ArrowDown: () => setCurrent(1),
    ArrowUp: () => setCurrent(-1),
    ArrowRight: () => walkValues(1),
    ArrowLeft: () => walkValues(-1),
    Enter: () => (focusedValue() ?? focused(current))?.click(),
    x: () => focusedValue()?.dispatchEvent(new MouseEvent('click', { bubbles: true, altKey: true })) ?? false,
  })
  const onScroll = () => {
    const { scrollTop = 0, scrollHeight = 0, clientHeight = 0 } = box.current ?? {}
    if (rows.older && scrollHeight - scrollTop - clientHeight < NEAR && (!isLive || rows.rows.length < 1_000)) rows.older()
    else if (scrollTop < ROW_HEIGHT * 5) rows.newer?.()
    if (isLive && scrollTop <= ROW_HEIGHT && live.waiting > 0) live.release()
  }
  return (
    <div class="events">
      <h1 class="hidden">{eventsWords.title}</h1>
      <FilterBar view={view} failure={rows.failure} onChange={change} />
      <Histogram id={id} isLive={isLive} wanted={() => wantedOf(view)} onNarrow={(from, to) => change({ range: undefined, from, to })} />
      <div class="events-bar">
        <p aria-live="polite">
          <strong>{rows.total === undefined ? text.none : numberOf(rows.total)}</strong> {eventsSaid.matches(rows.total ?? 0)}
          <span class="zone"> · {textSaid.zone(`${ZONE} (${offsetOf(new Date())})`)}</span>
        </p>
        <LiveButton live={live} isLive={isLive} onToggle={() => change({ live: !isLive })} />
        <SavedViews />
        <ColumnsMenu columns={names} names={COLUMN_NAMES} />
        <ExportMenu rows={rows.rows} total={rows.total} wanted={() => wantedOf(view)} />
      </div>
      <FailureNotice failure={rows.failure} retry={rows.retry} fields={shownAtFields(rows)} />
      <FailureNotice failure={live.failure} />
      <div class="events-table">
        {live.waiting > 0 && (
          <button
            type="button"
            class="button primary waiting"
            onClick={() => {
              box.current?.scrollTo({ top: 0 })
              live.release()
            }}
          >
            <Icon name="up" />
            {liveSaid.waiting(numberOf(live.waiting), live.waiting)}
          </button>
        )}
        <Table
          fixed
          box={box}
          caption={eventsWords.title}
          columns={columns}
          rows={rows.rows}
          keyOf={({ event }) => event.id}
          current={current}
          busy={rows.loading !== undefined}
          onScroll={onScroll}
        >
          <TableEnd rows={rows} isLive={isLive} hasFilter={Object.keys(wantedOf(view)).length > 0} />
        </Table>
      </div>
    </div>
  )
}

function TableEnd({ rows, isLive, hasFilter }: { rows: Rows; isLive: boolean; hasFilter: boolean }) {
  if (rows.loading) return <Waiting slow={rows.slow} />
  if (rows.failure) return null
  if (rows.rows.length === 0) {
    return (
      <Empty title={hasFilter ? eventsWords.noMatches : eventsWords.noEvents}>
        <p>{isLive ? liveWords.empty : hasFilter ? eventsWords.noMatchesHint : eventsWords.noEventsHint}</p>
      </Empty>
    )
  }
  if (!rows.older) return <p class="notice quiet">{isLive ? liveWords.end : eventsWords.end}</p>
  return (
    <p class="notice">
      <button type="button" class="button" onClick={rows.older}>
        {eventsWords.older}
      </button>
    </p>
  )
}

function LiveButton({ live, isLive, onToggle }: { live: Live; isLive: boolean; onToggle: () => void }) {
  const state = isLive && live.waiting > 0 ? 'paused' : live.state
  return (
    <>
      <button type="button" class={`button live-button ${state}`} aria-pressed={isLive} onClick={onToggle}>
        <span class="live-dot" aria-hidden="true" />
        {liveWords.title}
        {isLive && state !== 'live' && <span aria-hidden="true">{liveSaid.states[state]}</span>}
      </button>
      <span class="hidden" role="status">
        {liveSaid.states[state]}
      </span>
    </>
  )
}

/** Live events are newer than any range; the range is for those that are there already. */
function withoutRange({ from: _, to: __, ...others }: ReturnType<typeof wantedOf>): ReturnType<typeof wantedOf> {
  return others
}

/** Issues at fields of the bar are shown there. */
function shownAtFields({ failure }: Rows): string[] {
  return failure?.issues.map(({ path }) => path).filter((path) => path.startsWith('filter') || ['from', 'to'].includes(path)) ?? []
}

function focused(id: string | undefined): HTMLElement | null {
  return id === undefined ? null : document.querySelector<HTMLElement>(`[data-row="${CSS.escape(id)}"]`)
}

function focusedValue(): HTMLElement | null {
  return document.activeElement instanceof HTMLElement ? document.activeElement.closest('td > .cell-value') : null
}

/** From the link of a row to its values, and back. */
function walkValues(step: number): boolean {
  const row = document.activeElement?.closest('.events-table tr')
  const stops = [...(row?.querySelectorAll<HTMLElement>('[data-row], .cell-value') ?? [])]
  const next = stops[stops.findIndex((stop) => stop === document.activeElement) + step]
  next?.focus()
  return stops.length > 0
}

/** The row that the keys go along. It has the only link that Tab reaches. */
function useCurrent(rows: Row[]): [string | undefined, (step: number) => void] {
  const [chosen, setChosen] = useState<string>()
  const place = rows.findIndex(({ event }) => event.id === chosen)
  const move = (step: number) => {
    const isOutside = place < 0 || !document.activeElement?.matches('[data-row]')
    const next = rows[isOutside && place < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, place + step))]
    if (!next) return
    setChosen(next.event.id)
    const link = focused(next.event.id)
    link?.focus({ preventScroll: true })
    link?.closest('tr')?.scrollIntoView({ block: 'nearest' })
  }
  return [place < 0 ? rows[0]?.event.id : chosen, move]
}

/** Rows that come or go above those that are seen do not move them. */
function useKeptPlace(box: { current: HTMLDivElement | null }, { rows }: Rows): void {
  const before = useRef<{ first: string | undefined; rows: Row[] }>({ first: undefined, rows: [] })
  useLayoutEffect(() => {
    const { current: known } = before
    before.current = { first: rows[0]?.event.id, rows }
    const element = box.current
    if (!element || element.scrollTop === 0 || known.rows.length === 0 || rows[0] === known.rows[0]) return
    const gone = known.rows.indexOf(rows[0] as Row)
    const came = rows.indexOf(known.rows[0] as Row)
    if (gone > 0) element.scrollTop -= gone * ROW_HEIGHT
    else if (came > 0) element.scrollTop += came * ROW_HEIGHT
  }, [rows[0]])
}

/** The last page may be too short to scroll. Nobody could scroll up from it to the newer events. */
function useFilledBox(box: { current: HTMLDivElement | null }, { older, newer, pages, loading, failure }: Rows): void {
  useEffect(() => {
    const { scrollHeight = 0, clientHeight = 0 } = box.current ?? {}
    if (!failure && pages.length > 0 && scrollHeight <= clientHeight) (older ?? newer)?.()
  }, [pages, loading])
}

/** The address follows the page that is seen, so that a reload or a copy begins there. */
function usePlaceInAddress(box: { current: HTMLDivElement | null }, { pages }: Rows, isLive: boolean): void {
  useEffect(() => {
    const element = box.current
    if (!element || isLive) return
    let timer: ReturnType<typeof setTimeout>
    const note = () => {
      clearTimeout(timer)
      timer = setTimeout(() => {
        let above = Math.floor(element.scrollTop / ROW_HEIGHT)
        const seen = pages.find(({ rows }) => (above -= rows.length) < 0) ?? pages[0]
        if (seen && seen.at !== null) changeQuery({ at: seen.at }, 'replace')
      }, 250)
    }
    element.addEventListener('scroll', note, { passive: true })
    note() // a page that came right after the last scroll has moved the place, or ended the wait for it
    return () => {
      clearTimeout(timer)
      element.removeEventListener('scroll', note)
    }
  }, [pages, isLive])
}

/** A function that stays the same one, and does what the last one does. */
function useStable<TFunction extends (...values: never[]) => unknown>(act: TFunction): TFunction {
  const latest = useRef(act)
  latest.current = act
  return useMemo(() => ((...values: never[]) => latest.current(...values)) as TFunction, [])
}
