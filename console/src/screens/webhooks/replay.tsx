import { useState } from 'preact/hooks'
import { Dialog } from '../../components/dialog'
import { Form } from '../../components/form'
import { TextField } from '../../components/field'
import { FailureNotice } from '../../components/states'
import { useAccess } from '../../key'
import { useAction } from '../../load'
import { numberOf } from '../../shown'
import { words as text } from '../../text/common'
import * as said from '../../text/webhooks'
import { words } from '../../text/webhooks'

/** Deliver the events of a range of the log again. */
export function Replay({ id, onClose, onDone }: { id: string; onClose: () => void; onDone: () => void }) {
  const { api } = useAccess()
  const [from, setFrom] = useState('')
  const [to, setTo] = useState('')
  const [count, setCount] = useState<number>()
  const action = useAction(async () => {
    const range = { fromSeq: Number(from), toSeq: Number(to) }
    setCount((await api.subscriptions.replay.mutate({ subscriptionId: id, ...range })).deliveries)
    onDone()
  })
  return (
    <Dialog title={words.replayTitle} stays onClose={onClose}>
      <Form onSubmit={action.run}>
        <p>{words.replayLead}</p>
        <FailureNotice failure={action.failure} fields={['fromSeq', 'toSeq']} />
        <div class="columns">
          <TextField label={words.fromSeq} paths={['fromSeq']} failure={action.failure} type="number" min={0} required value={from} onText={setFrom} />
          <TextField label={words.toSeq} paths={['toSeq']} failure={action.failure} type="number" min={0} required value={to} onText={setTo} />
        </div>
        {count !== undefined && (
          <p class="notice good" role="status">
            {said.replayed(numberOf(count))}
          </p>
        )}
        <div class="actions end">
          <button type="button" class="button" onClick={onClose}>
            {text.close}
          </button>
          <button type="submit" class="button primary" disabled={action.running}>
            {words.replayIt}
          </button>
        </div>
      </Form>
    </Dialog>
  )
}
