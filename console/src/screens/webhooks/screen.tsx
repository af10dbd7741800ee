import type { Api } from '../../api'
import { Icon } from '../../components/icon'
import { Empty, Loaded } from '../../components/states'
import { Table, type Column } from '../../components/table'
import { Time } from '../../components/time'
import { Visible } from '../../components/visible'
import type { Subscription } from '../../contract'
import { useAccess } from '../../key'
import { useLoad } from '../../load'
import { useRefresh } from '../../refresh'
import { go, to, useRoute } from '../../router'
import { useRowKeys } from '../../rows'
import { numberOf } from '../../shown'
import { words } from '../../text/webhooks'
import { byHealth, HealthBadge } from './health'
import { NewWebhook } from './new-webhook'
import { Webhook } from './webhook'

const PAGE = 200
const REFRESH_MS = 5_000

/** The webhooks of the workspace, those with undelivered events first. */
export function WebhooksScreen() {
  const { api, workspace } = useAccess()
  const load = useLoad(workspace, (signal) => everyWebhook(api, signal))
  useRefresh(load, REFRESH_MS)
  useRowKeys({ n: () => go(to(['webhooks', 'new'])) })
  return (
    <div class="page">
      <header class="page-head">
        <h1>{words.title}</h1>
        <a class="button primary push" href={to(['webhooks', 'new'])}>
          <Icon name="plus" />
          {words.make}
        </a>
      </header>
      <Loaded load={load}>
        {(webhooks) =>
          webhooks.length === 0 ? (
            <Empty title={words.none}>
              <p>{words.noneMore}</p>
            </Empty>
          ) : (
            <Table caption={words.title} columns={COLUMNS} rows={webhooks} keyOf={({ subscriptionId }) => subscriptionId} />
          )
        }
      </Loaded>
    </div>
  )
}

/** One of them, or the form for another. */
export function WebhookScreen() {
  const [id = ''] = useRoute().rest
  return id === 'new' ? <NewWebhook /> : <Webhook key={id} id={id} />
}

async function everyWebhook(api: Api, signal: AbortSignal): Promise<Subscription[]> {
  const found: Subscription[] = []
  for (;;) {
    const page = await api.subscriptions.list.query({ limit: PAGE, after: found.at(-1)?.subscriptionId }, { signal })
    found.push(...page)
    if (page.length < PAGE) return found.sort(byHealth)
  }
}

const COLUMNS: Column<Subscription>[] = [
  {
    id: 'url',
    name: words.url,
    cell: ({ subscriptionId, webhookUrl, description }) => (
      <>
        <a href={to(['webhooks', subscriptionId])}>
          <Visible>{webhookUrl}</Visible>
        </a>{' '}
        {description && (
          <span class="hint">
            <Visible>{description}</Visible>
          </span>
        )}
      </>
    ),
  },
  { id: 'health', name: words.state, cell: (webhook) => <HealthBadge of={webhook} /> },
  { id: 'untried', name: words.untried, kind: 'number', cell: ({ untried }) => numberOf(untried) },
  { id: 'sent', name: words.sent, kind: 'number', cell: ({ deliverySeq }) => numberOf(deliverySeq) },
  {
    id: 'types',
    name: words.types,
    cell: ({ eventTypes, filter }) => (
      <>
        <code>{eventTypes.join(', ')}</code> {filter && <span class="badge">{words.filtered}</span>}
      </>
    ),
  },
  { id: 'created', name: words.created, cell: ({ createdAt }) => <Time at={createdAt} relative /> },
]
