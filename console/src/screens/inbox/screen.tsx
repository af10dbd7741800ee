import { Countdown } from '../../components/countdown'
import { Choice } from '../../components/field'
import { pageIn, Pager } from '../../components/pager'
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
import { words as text } from '../../text/common'
import * as said from '../../text/inbox'
import { words } from '../../text/inbox'
import { isMoving, Risks, StateBadge, STATES } from './state'

const REFRESH_MS = 5_000

/** The intents that wait for the key's user, or all of them. */
export function InboxScreen() {
  const { api, workspace } = useAccess()
  const { query } = useRoute()
  const shown = query.get('show') ?? ''
  const page = pageIn(query)
  const wanted = shown === '' ? { waiting: true } : { state: STATES.find((state) => state === shown) }
  const load = useLoad(JSON.stringify([workspace, shown, page]), (signal) =>
    api.intents.list.query({ ...wanted, ...page }, { signal }),
  )
  useRefresh(load, REFRESH_MS)
  useRowKeys()
  return (
    <div class="page">
      <h1>{words.title}</h1>
      <div class="filter-grid">
        <Choice
          label={words.show}
          data-filter
          value={shown}
          options={[['', words.waiting], ['all', words.all], ...STATES.map((state) => [state, said.states[state]] as const)]}
          onChoose={(show) => changeQuery({ show, cursor: undefined, direction: undefined })}
        />
      </div>
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
  { id: 'uses', name: words.uses, kind: 'number', cell: ({ used, uses }) => said.used(numberOf(used), numberOf(uses)) },
  { id: 'asked', name: words.asked, cell: ({ timestamp }) => <Time at={timestamp} relative /> },
]
