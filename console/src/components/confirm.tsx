import type { ComponentChildren } from 'preact'
import { useAction } from '../load'
import { words as text } from '../text/common'
import { Dialog } from './dialog'
import { Form } from './form'
import { FailureNotice } from './states'

interface ConfirmProps {
  title: string
  /** What the button says. */
  yes: string
  /** It cannot be undone. */
  danger?: boolean
  onClose: () => void
  act: () => Promise<unknown>
  children: ComponentChildren
}

/** Asks before an act, and stays until the server has done it. */
export function Confirm({ title, yes, danger = false, onClose, act, children }: ConfirmProps) {
  const action = useAction(act)
  return (
    <Dialog title={title} stays onClose={onClose}>
      <Form onSubmit={action.run}>
        {children}
        <FailureNotice failure={action.failure} />
        <div class="actions end">
          <button type="button" class="button" onClick={onClose}>
            {text.cancel}
          </button>
          <button type="submit" class={`button ${danger ? 'destroy' : 'primary'}`} disabled={action.running}>
            {yes}
          </button>
        </div>
      </Form>
    </Dialog>
  )
}
