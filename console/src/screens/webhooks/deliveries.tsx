import { pageIn, Pager } from '../../components/pager'
import { Empty, Loaded } from '../../components/states'
import { Table, type Column } from '../../components/table'
import { Time } from '../../components/time'
import { Visible } from '../../components/visible'
import type { Delivery, DeliveryPage } from '../../contract'
import { useAccess } from '../../key'
import { useLoad } from '../../load'
import { useRefresh } from '../../refresh'
import { changeQuery, useRoute } from '../../router'
import { useRowKeys } from '../../rows'
import { words as text } from '../../text/common'
import * as said from '../../text/webhooks'
import { words } from '../../text/webhooks'
import { Attempts } from './attempts'

const REFRESH_MS = 5_000
const STATES = ['pending', 'delivered', 'failed'] as const
const KINDS = { pending: 'warn', delivered: 'good', failed: 'bad' }

/** The deliveries of a webhook, newest first, and the attempts of the one that is chosen. */
export function Deliveries({ id }: { id: string }) {
  const { api } = useAccess()
  const { query } = useRoute()
  const status = STATES.find((state) => state === query.get('status'))
  const page = pageIn(query)
  const load = useLoad(JSON.stringify([id, status, page]), (signal) =>
    api.subscriptions.deliveries.query({ subscriptionId: id, status, ...page }, { signal }),
  )
  useRefresh(load, REFRESH_MS)
  useRowKeys()
  return (
    <div class="group">
      <header class="page-head">
        <h2>{words.deliveries}</h2>
        <label>
          <span class="hidden">{words.status}</span>
          <select
            data-filter
            value={status ?? ''}
            onChange={(event) => changeQuery({ status: event.currentTarget.value, cursor: undefined, direction: undefined, delivery: undefined })}
          >
            <option value="">{words.everyStatus}</option>
            {STATES.map((state) => (
              <option key={state} value={state}>
                {said.statuses[state]}
              </option>
            ))}
          </select>
        </label>
      </header>
      <Loaded load={load}>{(page) => <Page id={id} page={page} onSent={load.reload} />}</Loaded>
    </div>
  )
}

function Page({ id, page, onSent }: { id: string; page: DeliveryPage; onSent: () => void }) {
  const chosen = useRoute().query.get('delivery') ?? undefined
  const open = page.deliveries.find(({ deliverySeq }) => String(deliverySeq) === chosen)
  if (page.deliveries.length === 0) return <Empty title={words.noDeliveries} />
  return (
    <div class={open ? 'beside' : ''}>
      <div>
        <Table caption={words.deliveries} columns={COLUMNS} rows={page.deliveries} keyOf={({ deliverySeq }) => String(deliverySeq)} current={chosen} />
        <Pager page={page} back={words.newer} on={words.older} />
      </div>
      {open && <Attempts key={open.deliverySeq} id={id} of={open} onSent={onSent} />}
    </div>
  )
}

const COLUMNS: Column<Delivery>[] = [
  {
    id: 'number',
    name: words.number,
    cell: ({ deliverySeq }) => (
      <button type="button" class="link" aria-label={said.delivery(deliverySeq)} onClick={() => changeQuery({ delivery: String(deliverySeq) })}>
        {deliverySeq}
      </button>
    ),
  },
  {
    id: 'status',
    name: words.status,
    cell: ({ status, replay }) => (
      <>
        <span class={`badge ${KINDS[status]}`}>{said.statuses[status]}</span> {replay && <span class="badge">{words.again}</span>}
      </>
    ),
  },
  { id: 'type', name: words.type, cell: ({ type }) => <Visible>{type}</Visible> },
  { id: 'attempts', name: words.attempts, kind: 'number', cell: ({ attempts }) => attempts.at(-1)?.number ?? 0 },
  { id: 'answer', name: words.answer, cell: ({ attempts }) => attempts.at(-1)?.status ?? text.none },
  { id: 'created', name: words.created, kind: 'time', cell: ({ createdAt }) => <Time at={createdAt} /> },
]
