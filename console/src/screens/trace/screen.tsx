import { useMemo } from 'preact/hooks'
import { Fact } from '../../components/fact'
import { Icon } from '../../components/icon'
import { LoadNotice, Loaded } from '../../components/states'
import { Time } from '../../components/time'
import { Visible } from '../../components/visible'
import type { Trace, TracedEvent } from '../../contract'
import { useHotkeys } from '../../hotkeys'
import { useAccess } from '../../key'
import { useLoad } from '../../load'
import { changeQuery, go, to, useRoute } from '../../router'
import { numberOf } from '../../shown'
import { words as text } from '../../text/common'
import { words as eventsWords } from '../../text/events'
import * as said from '../../text/trace'
import { words } from '../../text/trace'
import { Confidence } from '../events/columns'
import { LanesView } from './lanes'
import { lanesOf, treeOf } from './model'
import { CausalTree } from './tree'

const LIMIT = 500
const DEPTH = 1_000
const CHUNK = 100

/** The causes and effects of an event, as a tree or over time, beside what shares its correlation. */
export function TraceScreen() {
  const { api, workspace } = useAccess()
  const { rest, query } = useRoute()
  const id = rest[0] ?? ''
  const load = useLoad(`${workspace} ${id}`, (signal) => api.events.trace.query({ eventId: id, limit: LIMIT, depth: DEPTH }, { signal }))
  useHotkeys({ Escape: () => go(to(['events', query.get('node') ?? id])) })
  return (
    <div class="page trace">
      <header class="page-head">
        <a class="button" href={to(['events', id])}>
          {words.back}
        </a>
        <h1>{words.title}</h1>
      </header>
      <Loaded load={load}>{(trace) => <Walk trace={trace} />}</Loaded>
    </div>
  )
}

function Walk({ trace }: { trace: Trace }) {
  const { query } = useRoute()
  const root = useMemo(() => treeOf(trace), [trace])
  const all = useMemo(() => [...trace.ancestors, trace.event, ...trace.descendants], [trace])
  const current = all.find(({ id }) => id === query.get('node')) ?? trace.event
  const isLanes = query.get('view') === 'lanes'
  const props = {
    current: current.id,
    asked: trace.event.id,
    onMove: ({ id }: TracedEvent) => changeQuery({ node: id === trace.event.id ? undefined : id }, 'replace'),
    onOpen: ({ id }: TracedEvent) => go(to(['events', id])),
  }
  return (
    <>
      <div class="page-head">
        {(['tree', 'lanes'] as const).map((view) => (
          <button key={view} type="button" class="button" aria-pressed={isLanes === (view === 'lanes')} onClick={() => changeQuery({ view: view === 'lanes' ? view : undefined })}>
            {said.views[view]}
          </button>
        ))}
        <span class="hint">{said.counts(numberOf(trace.ancestors.length), numberOf(trace.descendants.length))}</span>
        {trace.truncated && <span class="badge warn">{words.truncated}</span>}
      </div>
      <div class="trace-columns">
        <section class="card" aria-label={words.title}>
          {isLanes ? <LanesBy events={all} {...props} /> : <CausalTree root={root} {...props} />}
        </section>
        <aside class="trace-side" aria-label={words.side}>
          <Chosen event={current} />
          <Correlated trace={trace} />
        </aside>
      </div>
    </>
  )
}

type MoveProps = Omit<Parameters<typeof LanesView>[0], 'lanes'>

/** Lanes by agent come with the trace; sources are asked for when they are wanted. */
function LanesBy({ events, ...props }: { events: TracedEvent[] } & MoveProps) {
  const { api } = useAccess()
  const { query } = useRoute()
  const bySource = query.get('by') === 'source'
  const load = useLoad(bySource ? props.asked : undefined, async (signal) => {
    const sources = new Map<string, string>()
    for (let start = 0; start < events.length; start += CHUNK) {
      const ids = events.slice(start, start + CHUNK).map(({ id }) => id)
      const found = await api.events.list.query({ filter: { id: { in: ids } }, limit: CHUNK }, { signal })
      for (const { id, source } of found) sources.set(id, source)
    }
    return sources
  })
  const sources = load.value
  const nameOf = (event: TracedEvent) => (bySource ? (sources?.get(event.id) ?? '…') : (event.agent ?? event.userId))
  return (
    <>
      <div class="page-head" role="group" aria-label={words.by}>
        {(['agent', 'source'] as const).map((by) => (
          <button key={by} type="button" class="button" aria-pressed={bySource === (by === 'source')} onClick={() => changeQuery({ by: by === 'source' ? by : undefined })}>
            {said.lanesBy[by]}
          </button>
        ))}
      </div>
      {bySource && <LoadNotice load={load} />}
      <LanesView lanes={lanesOf(events, nameOf)} {...props} />
    </>
  )
}

/** What stands of the event that the keys are at. */
function Chosen({ event }: { event: TracedEvent }) {
  return (
    <section class="card" aria-label={words.chosen}>
      <h2>
        <Visible>{event.type}</Visible>
      </h2>
      <dl class="facts">
        <Fact name={eventsWords.time} class="mono">
          <Time at={event.timestamp} />
        </Fact>
        <Fact name={eventsWords.user}>
          <Visible>{event.userId || text.none}</Visible>
        </Fact>
        {event.agent && (
          <Fact name={eventsWords.agent}>
            <Visible>{event.agent}</Visible>
          </Fact>
        )}
        {event.confidence !== undefined && (
          <Fact name={eventsWords.confidence}>
            <Confidence score={event.confidence} />
          </Fact>
        )}
        {event.subjectId && (
          <Fact name={eventsWords.subject}>
            <Visible>{event.subjectId}</Visible>
          </Fact>
        )}
      </dl>
      <div class="actions">
        <a class="button" href={to(['events', event.id])}>
          {words.open}
        </a>
        <a class="button" href={to(['trace', event.id])}>
          <Icon name="trace" />
          {words.from}
        </a>
      </div>
    </section>
  )
}

/** The other events with the same correlation, which no cause connects. */
function Correlated({ trace: { event, correlated } }: { trace: Trace }) {
  const { correlationId } = event
  if (!correlationId) return null
  return (
    <section class="card" aria-label={words.correlated}>
      <h2>{words.correlated}</h2>
      <p class="hint">
        <a href={to(['events'], { filter: JSON.stringify({ correlationId }) })}>
          <Visible>{correlationId}</Visible>
        </a>
      </p>
      {correlated.length === 0 && <p class="quiet-text">{words.noOthers}</p>}
      <ul class="correlated">
        {correlated.map((other) => (
          <li key={other.id}>
            <a href={to(['events', other.id])}>
              <Visible>{other.type}</Visible>
            </a>
            <span class="hint">
              <Visible>{other.agent ?? other.userId}</Visible> · <Time at={other.timestamp} />
            </span>
          </li>
        ))}
      </ul>
    </section>
  )
}
