import type { JSX } from 'preact'
import type { Column } from '../../components/table'
import { Time } from '../../components/time'
import { Visible } from '../../components/visible'
import { to } from '../../router'
import { words as text } from '../../text/common'
import { words as eventWords } from '../../text/event'
import { words as eventsWords } from '../../text/events'
import { visible } from '../../visible'
import { memberOf, type Row } from './rows'
import type { Scalar } from './view'

/** Filter by a value of a field, or exclude it. */
export type OnPick = (field: string, value: Scalar, exclude: boolean) => void

export const COLUMN_NAMES: Record<string, string> = {
  seq: eventsWords.seq,
  time: eventsWords.time,
  type: eventsWords.type,
  subject: eventsWords.subject,
  user: eventsWords.user,
  source: eventsWords.source,
  producer: eventsWords.producer,
  correlation: eventsWords.correlation,
  agent: eventsWords.agent,
  confidence: eventsWords.confidence,
  data: eventsWords.data,
}

/** The columns that an address names. Those that begin with `data.` show a member of the data. */
export function columnsOf(names: readonly string[], onPick: OnPick): Column<Row>[] {
  const known = names.filter((name) => Object.hasOwn(COLUMN_NAMES, name) || name.startsWith('data.'))
  return known.map((name) => columnOf(name, onPick))
}

function columnOf(name: string, onPick: OnPick): Column<Row> {
  if (!Object.hasOwn(COLUMN_NAMES, name)) {
    const path = name.slice('data.'.length)
    return {
      id: name,
      name: <Visible>{name}</Visible>,
      kind: 'member',
      cell: ({ event }) => <Value field={name} value={memberOf(event.data, path)} onPick={onPick} />,
    }
  }
  return { id: name, name: COLUMN_NAMES[name], ...CELLS(onPick)[name] } as Column<Row>
}

type Cell = Pick<Column<Row>, 'cell' | 'kind'>

const CELLS = (onPick: OnPick): Record<string, Cell> => {
  const value = (field: string, read: (row: Row) => string | undefined, kind: string): Cell => ({
    kind,
    cell: (row) => <Value field={field} value={read(row)} onPick={onPick} />,
  })
  return {
    seq: { kind: 'seq', cell: ({ event }) => event.seq },
    time: { kind: 'time', cell: openingTime },
    type: value('type', ({ event }) => event.type, 'type'),
    subject: value('subjectId', ({ event }) => event.subjectId, 'mono'),
    user: value('userId', ({ event }) => event.userId || undefined, 'user'),
    source: value('source', ({ event }) => event.source, 'source'),
    producer: value('producer', ({ event }) => event.producer, 'user'),
    correlation: value('correlationId', ({ event }) => event.correlationId, 'mono'),
    agent: value('metadata.ai.agent', ({ agent }) => agent, 'user'),
    confidence: { kind: 'confidence', cell: ({ confidence }) => confidence !== undefined && <Confidence score={confidence} /> },
    data: {
      kind: 'wide',
      cell: ({ event, snippet }) =>
        event.erased ? <em class="erased">{eventWords.erased}</em> : <span class="snippet"><Visible>{snippet}</Visible></span>,
    },
  }
}

function openingTime({ event }: Row, isCurrent: boolean): JSX.Element {
  return (
    <a href={to(['events', event.id])} tabIndex={isCurrent ? 0 : -1} data-row={event.id}>
      <Time at={event.timestamp} />
    </a>
  )
}

/** A value that filters when it is clicked. Tab passes it by: the arrow keys lead to it from the row. */
function Value({ field, value, onPick }: { field: string; value: Scalar | undefined; onPick: OnPick }) {
  if (value === undefined || value === '') return null
  const shown = String(value)
  return (
    <button
      type="button"
      class="cell-value"
      tabIndex={-1}
      title={`${visible(shown.slice(0, 500))}\n${text.pick}`}
      onClick={(event) => onPick(field, value, event.altKey)}
    >
      <Visible>{shown.slice(0, 500)}</Visible>
    </button>
  )
}

/** How sure an agent is: a number and a bar. */
export function Confidence({ score }: { score: number }) {
  const width = Math.max(0, Math.min(1, score))
  return (
    <span class="score">
      <svg viewBox="0 0 40 6" width="40" height="6" aria-hidden="true">
        <rect class="bar-ground" width="40" height="6" rx="3" />
        <rect class={score < 0.5 ? 'bar-low' : 'bar-high'} width={40 * width} height="6" rx="3" />
      </svg>
      {score.toFixed(2)}
    </span>
  )
}
