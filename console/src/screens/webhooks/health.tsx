import { Time } from '../../components/time'
import { Visible } from '../../components/visible'
import type { Subscription } from '../../contract'
import * as said from '../../text/webhooks'

export type Health = 'disabled' | 'failing' | 'waiting' | 'paused' | 'healthy'

const ORDER: Health[] = ['disabled', 'failing', 'waiting', 'paused', 'healthy']
const KINDS: Record<Health, string> = { disabled: 'bad', failing: 'bad', waiting: 'warn', paused: '', healthy: 'good' }

export function healthOf({ status, failingSince, untried }: Subscription): Health {
  if (status === 'disabled') return 'disabled'
  if (status === 'paused') return 'paused'
  if (failingSince) return 'failing'
  return untried > 0 ? 'waiting' : 'healthy'
}

/** What is undelivered first, then the one that others wait for longest. */
export function byHealth(one: Subscription, other: Subscription): number {
  const place = (webhook: Subscription) => ORDER.indexOf(healthOf(webhook))
  return place(one) - place(other) || other.untried - one.untried || one.webhookUrl.localeCompare(other.webhookUrl)
}

export function HealthBadge({ of }: { of: Subscription }) {
  const health = healthOf(of)
  const since = of.failingSince ?? of.stoppedAt
  return (
    <span>
      <span class={`badge ${KINDS[health]}`}>{said.health[health]}</span>{' '}
      {health !== 'healthy' && since && (
        <span class="hint">
          <Time at={since} relative />
        </span>
      )}
      {of.reason && (
        <span class="hint">
          {' '}
          <Visible>{of.reason}</Visible>
        </span>
      )}
    </span>
  )
}
