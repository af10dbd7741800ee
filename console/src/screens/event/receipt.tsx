import { Icon } from '../../components/icon'
import { FailureNotice } from '../../components/states'
import { may, useAccess } from '../../key'
import { useAction } from '../../load'
import { words as eventWords } from '../../text/event'
import { save } from '../events/export'

/** One file that proves an event and all that belongs to it, to somebody without access to the server. */
export function ReceiptButton({ eventId }: { eventId: string }) {
  const { api, key } = useAccess()
  const action = useAction(async () => {
    const receipt = await api.ledger.receipt.query({ eventId })
    save(new Blob([JSON.stringify(receipt)], { type: 'application/json' }), `receipt-${eventId}.json`)
  })
  if (!may(key, 'ledger:read')) return null
  return (
    <>
      <button type="button" class="button" title={eventWords.receiptMeans} disabled={action.running} onClick={() => action.run()}>
        <Icon name="download" />
        {eventWords.receipt}
      </button>
      <FailureNotice failure={action.failure} />
    </>
  )
}
