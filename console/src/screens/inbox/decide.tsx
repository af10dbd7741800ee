import { useState } from 'preact/hooks'
import { Confirm } from '../../components/confirm'
import { TextField } from '../../components/field'
import { FailureNotice } from '../../components/states'
import type { IntentChain } from '../../contract'
import { may, useAccess } from '../../key'
import { useAction } from '../../load'
import { words } from '../../text/inbox'

const LONGEST_REASON = 1_024

interface Props {
  of: IntentChain
  onDone: () => void
}

/** Approve or reject exactly what the page shows: the server takes it only if its hash is the one sent. */
export function Decide({ of: { event }, onDone }: Props) {
  const { api } = useAccess()
  const [reason, setReason] = useState('')
  const action = useAction(async (decision: 'approved' | 'rejected') => {
    await api.intents.decide.mutate({ eventId: event.id, hash: event.hash, decision, reason: reason.trim() || undefined }).finally(onDone)
  })
  return (
    <section class="card group" aria-label={words.decide}>
      <h2>{words.decide}</h2>
      <TextField label={words.reason} hint={words.reasonHint} paths={['reason']} failure={action.failure} rows={2} maxLength={LONGEST_REASON} spellcheck value={reason} onText={setReason} />
      <FailureNotice failure={action.failure} fields={['reason']} />
      <div class="actions">
        <button type="button" class="button primary" disabled={action.running} onClick={() => action.run('approved')}>
          {words.approve}
        </button>
        <button type="button" class="button danger" disabled={action.running} onClick={() => action.run('rejected')}>
          {words.reject}
        </button>
      </div>
    </section>
  )
}

/** Why somebody who decides on intents may not decide on this one; empty if they may. */
export function whyNot({ event }: IntentChain, userId: string, decidesOwn: boolean): string {
  const approvers = event.metadata?.synap?.intent?.approvers
  if (approvers && !approvers.includes(userId)) return words.notNamed
  return event.userId === userId && !decidesOwn ? words.own : ''
}

/** The asker takes it back, as long as something could still start. */
export function Withdraw({ of: { event, state, uses, used }, onDone }: Props) {
  const { api, key } = useAccess()
  const [asking, setAsking] = useState(false)
  const canStart = state === 'open' || (state === 'approved' && used < uses)
  if (!canStart || event.userId !== key.userId || !may(key, 'events:write')) return null
  const act = async () => {
    await api.intents.withdraw.mutate({ eventId: event.id })
    setAsking(false)
    onDone()
  }
  return (
    <>
      <button type="button" class="button" onClick={() => setAsking(true)}>
        {words.withdraw}
      </button>
      {asking && (
        <Confirm title={words.withdrawTitle} yes={words.withdraw} danger act={act} onClose={() => setAsking(false)}>
          <p>{words.withdrawLead}</p>
        </Confirm>
      )}
    </>
  )
}
