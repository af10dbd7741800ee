import { useState } from 'preact/hooks'
import { Confirm } from '../../components/confirm'
import { ShownOnce } from '../../components/once'
import { FailureNotice } from '../../components/states'
import { Visible } from '../../components/visible'
import type { RotatedSecret, Subscription } from '../../contract'
import { useAccess } from '../../key'
import { useAction } from '../../load'
import { go, to } from '../../router'
import { durationOf } from '../../shown'
import { words } from '../../text/webhooks'
import { Grace } from '../keys/replace'
import { Answer } from './attempts'
import { Replay } from './replay'

type Open = 'pause' | 'rotate' | 'replay' | 'delete'

interface ActsProps {
  of: Subscription
  onDone: () => void
}

/** What can be done with a webhook. What stops or deletes something asks first. */
export function Acts({ of, onDone }: ActsProps) {
  const { api } = useAccess()
  const { subscriptionId } = of
  const [open, setOpen] = useState<Open>()
  const resume = useAction(async () => {
    await api.subscriptions.resume.mutate({ subscriptionId })
    onDone()
  })
  const close = () => setOpen(undefined)
  const pause = async () => {
    await api.subscriptions.pause.mutate({ subscriptionId })
    close()
    onDone()
  }
  const remove = async () => {
    await api.subscriptions.delete.mutate({ subscriptionId })
    go(to(['webhooks']), 'replace')
  }
  return (
    <>
      <div class="actions">
        <Test id={subscriptionId} />
        {of.status === 'active' ? (
          <button type="button" class="button" onClick={() => setOpen('pause')}>
            {words.pause}
          </button>
        ) : (
          <button type="button" class="button primary" disabled={resume.running} onClick={() => resume.run()}>
            {words.resume}
          </button>
        )}
        <button type="button" class="button" onClick={() => setOpen('replay')}>
          {words.replay}
        </button>
        <button type="button" class="button" onClick={() => setOpen('rotate')}>
          {words.rotate}
        </button>
        <button type="button" class="button danger" onClick={() => setOpen('delete')}>
          {words.remove}
        </button>
        <FailureNotice failure={resume.failure} />
      </div>
      {open === 'pause' && (
        <Confirm title={words.pauseTitle} yes={words.pause} act={pause} onClose={close}>
          <p>{words.pauseLead}</p>
        </Confirm>
      )}
      {open === 'delete' && (
        <Confirm title={words.removeTitle} yes={words.remove} danger act={remove} onClose={close}>
          <p>{words.removeLead}</p>
          <p>
            <Visible>{of.webhookUrl}</Visible>
          </p>
        </Confirm>
      )}
      {open === 'rotate' && <Rotate id={subscriptionId} onClose={close} onDone={onDone} />}
      {open === 'replay' && <Replay id={subscriptionId} onClose={close} onDone={onDone} />}
    </>
  )
}

function Test({ id }: { id: string }) {
  const { api } = useAccess()
  const [result, setResult] = useState<Awaited<ReturnType<typeof api.subscriptions.test.mutate>>>()
  const test = useAction(async () => {
    setResult(undefined)
    setResult(await api.subscriptions.test.mutate({ subscriptionId: id }))
  })
  return (
    <>
      <button type="button" class="button" disabled={test.running} onClick={() => test.run()}>
        {words.test}
      </button>
      <FailureNotice failure={test.failure} />
      {result && (
        <div class={`notice ${result.delivered ? 'good' : 'bad'}`} role="status">
          <div>
            <strong>{result.delivered ? words.testRight : words.testWrong}</strong> {result.status} {durationOf(result.elapsedMs)}
            <Answer error={result.error} body={result.body} />
          </div>
        </div>
      )}
    </>
  )
}

const GRACES = [0, 3_600, 86_400, 604_800]

function Rotate({ id, onClose, onDone }: { id: string; onClose: () => void; onDone: () => void }) {
  const { api } = useAccess()
  const [grace, setGrace] = useState(86_400)
  const [made, setMade] = useState<RotatedSecret>()
  const act = async () => {
    setMade(await api.subscriptions.rotateSecret.mutate({ subscriptionId: id, graceSeconds: grace }))
    onDone()
  }
  if (made) return <Secrets title={words.rotatedTitle} of={made} onClose={onClose} />
  return (
    <Confirm title={words.rotateTitle} yes={words.rotate} act={act} onClose={onClose}>
      <p>{words.rotateLead}</p>
      <Grace label={words.grace} times={GRACES} chosen={grace} onChoose={setGrace} />
    </Confirm>
  )
}

/** The secret in both of its forms. */
export function Secrets({ title, of, onClose }: { title: string; of: RotatedSecret; onClose: () => void }) {
  return (
    <ShownOnce
      title={title}
      secrets={[
        [words.plainSecret, of.secret],
        [words.standardSecret, of.standardWebhooksSecret],
      ]}
      onClose={onClose}
    >
      <p class="hint">{words.secretsMean}</p>
    </ShownOnce>
  )
}
