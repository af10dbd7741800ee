import type { IntentChain, ListedIntent } from '../../contract'
import * as said from '../../text/inbox'
import { words } from '../../text/inbox'

export type State = IntentChain['state']

export const STATES = Object.keys(said.states) as State[]

const KINDS: Record<State, string> = { open: 'warn', approved: 'good', used_up: 'good', rejected: 'bad', expired: '', withdrawn: '' }

/** Whether something can still become of it without anybody asking again. */
export const isMoving = (state: State): boolean => state === 'open' || state === 'approved'

export function StateBadge({ of }: { of: State }) {
  return <span class={`badge ${KINDS[of]}`}>{said.states[of]}</span>
}

/** What the one who asked says about the danger. */
export function Risks({ of: { risk, reversible } }: { of: Pick<ListedIntent, 'risk' | 'reversible'> }) {
  return (
    <>
      {risk && <span class={`badge ${risk === 'high' ? 'bad' : risk === 'medium' ? 'warn' : ''}`}>{said.risks[risk]}</span>}{' '}
      {reversible === false && <span class="badge bad">{words.irreversible}</span>}
    </>
  )
}
