import { useState } from 'preact/hooks'
import { CopyButton } from '../../components/copy'
import { Dialog } from '../../components/dialog'
import { Fact } from '../../components/fact'
import { Icon } from '../../components/icon'
import { FailureNotice } from '../../components/states'
import { Visible } from '../../components/visible'
import type { SynapEvent } from '../../contract'
import { may, useAccess } from '../../key'
import { useLoad } from '../../load'
import * as sentences from '../../text/verify'
import { words } from '../../text/verify'
import { verified, type Step, type Verdict } from './verify'

/** Whether this browser found the event to be what was signed. Pressing it shows each step. */
export function VerifiedBadge({ event }: { event: SynapEvent }) {
  const { api, key } = useAccess()
  const [open, setOpen] = useState(false)
  const [cannot, setCannot] = useState('')
  const mayVerify = may(key, 'ledger:read')
  const load = useLoad(mayVerify ? event.hash : undefined, async (signal) => {
    setCannot('')
    if (!globalThis.crypto?.subtle) {
      setCannot(words.insecure)
      return undefined
    }
    return verified(api, event, signal)
  })
  if (!mayVerify) return null
  const verdict = load.value
  const state = load.failure || cannot ? 'cannot' : verdict === undefined ? 'verifying' : verdict.verified ? 'verified' : 'broken'
  const kind = { verified: 'good', broken: 'bad', verifying: '', cannot: 'warn' }[state]
  return (
    <>
      <button type="button" class={`badge ${kind}`} onClick={() => setOpen(true)} disabled={state === 'verifying'} aria-haspopup="dialog">
        {state === 'verifying' ? <span class="spinner" aria-hidden="true" /> : <Icon name={state === 'verified' ? 'check' : 'warning'} />}
        {sentences.states[state]}
      </button>
      <span class="hidden" role="status">
        {sentences.states[state]}
      </span>
      {state === 'broken' && verdict && (
        <p class="notice bad" role="alert">
          <strong>{sentences.states.broken}:</strong> <Visible>{verdict.reason}</Visible>
        </p>
      )}
      {open && (
        <Dialog title={words.title} wide onClose={() => setOpen(false)}>
          <FailureNotice failure={load.failure} retry={load.reload} />
          {cannot && <p class="notice warn">{cannot}</p>}
          {verdict && <Steps verdict={verdict} />}
        </Dialog>
      )}
    </>
  )
}

function Steps({ verdict }: { verdict: Verdict }) {
  const { proof, steps } = verdict
  return (
    <>
      <p>{words.lead}</p>
      <ol class="steps">
        {steps.map((step) => (
          <StepLine key={step.name} step={step} />
        ))}
      </ol>
      <dl class="facts">
        <Fact name={words.node} class="mono">
          <Visible>{proof.node_did}</Visible>
        </Fact>
        <Fact name={words.checkpoint}>
          <pre>
            <Visible multiline>{proof.checkpoint.note}</Visible>
          </pre>
        </Fact>
      </dl>
      <p class="hint">{words.pin}</p>
      <div class="actions">
        <CopyButton name={words.proof} label={words.copyProof} value={() => JSON.stringify(proof, null, 2)} />
      </div>
    </>
  )
}

function StepLine({ step: { name, right, said, compared } }: { step: Step }) {
  const kind = right === null ? 'quiet' : right ? 'good' : 'bad'
  return (
    <li class={kind}>
      <Icon name={right === null ? 'more' : right ? 'check' : 'cross'} />
      <div>
        <h3>
          {name} <span class={`badge ${kind}`}>{sentences.results[kind]}</span>
        </h3>
        <p>
          <Visible>{said}</Visible>
        </p>
        {compared && (
          <dl class="compared">
            {compared.map(([what, value]) => (
              <div key={what}>
                <Fact name={what}>
                  <Visible>{value}</Visible>
                </Fact>
              </div>
            ))}
          </dl>
        )}
      </div>
    </li>
  )
}
