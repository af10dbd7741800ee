import { useState } from 'preact/hooks'
import { Fact } from '../../components/fact'
import { FailureNotice } from '../../components/states'
import { Time } from '../../components/time'
import { Visible } from '../../components/visible'
import type { Attempt, Delivery } from '../../contract'
import { useAccess } from '../../key'
import { useAction } from '../../load'
import { to } from '../../router'
import { durationOf, numberOf } from '../../shown'
import * as said from '../../text/webhooks'
import { words } from '../../text/webhooks'

/** One delivery: every attempt, what the receiver answered, and a button that sends it again. */
export function Attempts({ id, of, onSent }: { id: string; of: Delivery; onSent: () => void }) {
  const { api } = useAccess()
  const [isSent, setSent] = useState(false)
  const resend = useAction(async () => {
    await api.subscriptions.replay.mutate({ subscriptionId: id, eventId: of.eventId })
    setSent(true)
    onSent()
  })
  return (
    <section class="card" aria-label={said.delivery(of.deliverySeq)}>
      <header class="page-head">
        <h2>{said.delivery(of.deliverySeq)}</h2>
        <button type="button" class="button push" disabled={resend.running} onClick={() => resend.run()}>
          {words.resend}
        </button>
      </header>
      <FailureNotice failure={resend.failure} />
      {isSent && (
        <p class="notice good" role="status">
          {words.resent}
        </p>
      )}
      <dl class="facts">
        <Fact name={words.event} class="mono">
          <a href={to(['events', of.eventId])}>{of.eventId}</a>
        </Fact>
        <Fact name={words.place}>{numberOf(of.seq)}</Fact>
        {of.nextAttemptAt && (
          <Fact name={words.next}>
            <Time at={of.nextAttemptAt} /> (<Time at={of.nextAttemptAt} relative />)
          </Fact>
        )}
      </dl>
      {of.attempts.length === 0 && <p class="quiet-text">{words.noAttempt}</p>}
      <ol class="attempts" aria-label={words.attempts}>
        {[...of.attempts].reverse().map((attempt) => (
          <AttemptLine key={attempt.number} of={attempt} />
        ))}
      </ol>
    </section>
  )
}

function AttemptLine({ of }: { of: Attempt }) {
  return (
    <li>
      <p>
        <span class={`badge ${of.error ? 'bad' : 'good'}`}>{of.status ?? words.noStatus}</span> {said.attempt(of.number)}{' '}
        <span class="quiet-text">
          <Time at={of.at} />, {durationOf(of.elapsedMs)}
        </span>
      </p>
      <Answer error={of.error} body={of.body} />
    </li>
  )
}

/** Why an attempt failed, and the body that the receiver answered with. */
export function Answer({ error, body }: { error: string | undefined; body: string }) {
  return (
    <>
      {error && (
        <p>
          <Visible>{error}</Visible>
        </p>
      )}
      {body && (
        <pre class="answer">
          <Visible multiline>{body}</Visible>
        </pre>
      )}
    </>
  )
}
