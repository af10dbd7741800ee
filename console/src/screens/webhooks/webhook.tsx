import { Fact } from '../../components/fact'
import { Loaded } from '../../components/states'
import { Time } from '../../components/time'
import { Visible } from '../../components/visible'
import type { Subscription } from '../../contract'
import { useHotkeys } from '../../hotkeys'
import { useAccess } from '../../key'
import { useLoad } from '../../load'
import { useRefresh } from '../../refresh'
import { go, to } from '../../router'
import { numberOf } from '../../shown'
import * as said from '../../text/webhooks'
import { words } from '../../text/webhooks'
import { Acts } from './acts'
import { Deliveries } from './deliveries'
import { HealthBadge } from './health'

const REFRESH_MS = 5_000

/** One webhook: what it gets, how it fares, what can be done, and its deliveries. */
export function Webhook({ id }: { id: string }) {
  const { api } = useAccess()
  const load = useLoad(id, (signal) => api.subscriptions.get.query({ subscriptionId: id }, { signal }))
  useRefresh(load, REFRESH_MS)
  useHotkeys({ Escape: () => go(to(['webhooks'])) })
  return (
    <div class="page">
      <p>
        <a href={to(['webhooks'])}>{words.back}</a>
      </p>
      <Loaded load={load}>
        {(webhook) => (
          <>
            <header class="page-head">
              <h1>
                <Visible>{webhook.webhookUrl}</Visible>
              </h1>
              <HealthBadge of={webhook} />
            </header>
            <Acts of={webhook} onDone={load.reload} />
            <Facts of={webhook} />
            <Deliveries id={id} />
          </>
        )}
      </Loaded>
    </div>
  )
}

function Facts({ of }: { of: Subscription }) {
  return (
    <dl class="facts">
      {of.description && (
        <Fact name={words.description}>
          <Visible>{of.description}</Visible>
        </Fact>
      )}
      <Fact name={words.types} class="mono">{of.eventTypes.join(', ')}</Fact>
      {of.filter && (
        <Fact name={words.filter}>
          <pre>
            <Visible multiline>{JSON.stringify(of.filter, null, 2)}</Visible>
          </pre>
        </Fact>
      )}
      <Fact name={words.untried}>{said.untriedOf(numberOf(of.untried), numberOf(of.deliverySeq))}</Fact>
      <Fact name={words.order}>{of.ordered ? words.ordered : words.unordered}</Fact>
      <Fact name={words.created}>
        <Time at={of.createdAt} />
      </Fact>
      {of.previousSecretUntil && (
        <Fact name={words.oldSecret}>
          {words.until} <Time at={of.previousSecretUntil} />
        </Fact>
      )}
      {of.weakSecret && (
        <Fact name={words.secret}>{words.weak}</Fact>
      )}
    </dl>
  )
}
