import { Countdown } from '../../components/countdown'
import { Field } from '../../components/field'
import { Pager } from '../../components/pager'
import { Empty, Loaded } from '../../components/states'
import { Table, type Column } from '../../components/table'
import { Time } from '../../components/time'
import { Visible } from '../../components/visible'
import type { ListedIntent } from '../../contract'
import { useAccess } from '../../key'
import { useLoad } from '../../load'
import { useRefresh } from '../../refresh'
import { changeQuery, to, useRoute } from '../../router'
import { useRowKeys } from '../../rows'
import { numberOf } from '../../shown'
import * as text from '../../text/common'
import * as words from '../../text/inbox'
import { isMoving, Risks, StateBadge, STATES, type State } from './state'

const REFRESH_MS = 5_000

/** The intents that wait for the key's user, or all of them. */
export function InboxScreen() {
  const { api, workspace } = useAccess()
  const { query } = useRoute()
  const shown = query.get('show') ?? ''
  const cursor = query.get('cursor') ?? undefined
  const direction = query.get('direction') === 'backward' ? 'backward' : undefined
  const wanted = shown === '' ? { waiting: true } : { state: STATES.find((state) => state === shown) }
  const load = useLoad(JSON.stringify([workspace, shown, cursor, direction]), (signal) =>
    api.intents.list.query({ ...wanted, cursor, direction }, { signal }),
  )
  useRefresh(load, REFRESH_MS)
  useRowKeys()
  return (
    <div class="page">
      <h1>{words.title}</h1>
      <Show value={shown} />
      <Loaded load={load}>
        {(page) => (
          <>
            {page.intents.length === 0 ? (
              <Empty title={shown ? words.noOthers : words.none}>
                <p>{shown ? words.noOthersMore : words.noneMore}</p>
              </Empty>
            ) : (
              <Table caption={words.title} columns={shown ? COLUMNS : COLUMNS.filter(({ id }) => id !== 'state')} rows={page.intents} keyOf={({ eventId }) => eventId} />
            )}
            <Pager page={page} back={words.newer} on={words.older} />
          </>
        )}
      </Loaded>
    </div>
  )
}

function Show({ value }: { value: State | string }) {
  return (
    <div class="filters">
      <Field label={words.show}>
        {(control) => (
          <select {...control} data-filter value={value} onChange={(event) => changeQuery({ show: event.currentTarget.value, cursor: undefined, direction: undefined })}>
            <option value="">{words.waiting}</option>
            <option value="all">{words.all}</option>
            {STATES.map((state) => (
              <option key={state} value={state}>
                {words.states[state]}
              </option>
            ))}
          </select>
        )}
      </Field>
    </div>
  )
}

const COLUMNS: Column<ListedIntent>[] = [
  {
    id: 'what',
    name: words.what,
    kind: 'wide',
    cell: ({ eventId, type, summary }) => (
      <>
        <a href={to(['inbox', eventId])}>
          <Visible>{summary ?? type}</Visible>
        </a>{' '}
        {summary && <code class="hint">{type}</code>}
      </>
    ),
  },
  { id: 'ends', name: words.ends, cell: ({ state, expiresAt }) => (expiresAt && isMoving(state) ? <Countdown until={expiresAt} /> : text.none) },
  { id: 'risk', name: words.risk, cell: (intent) => <Risks of={intent} /> },
  { id: 'user', name: words.user, cell: ({ userId }) => <Visible>{userId}</Visible> },
  { id: 'state', name: words.state, cell: ({ state }) => <StateBadge of={state} /> },
  { id: 'uses', name: words.uses, kind: 'number', cell: ({ used, uses }) => words.used(numberOf(used), numberOf(uses)) },
  { id: 'asked', name: words.asked, cell: ({ timestamp }) => <Time at={timestamp} relative /> },
]
