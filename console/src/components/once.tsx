import { words as text } from '../text/common'
import { CopyButton } from './copy'
import { Dialog } from './dialog'
import { Icon } from './icon'

interface OnceProps {
  title: string
  /** Each secret under its name. */
  secrets: [name: string, value: string | undefined][]
  children?: preact.ComponentChildren
  onClose: () => void
}

/** Secrets that no other answer of the server has. */
export function ShownOnce({ title, secrets, children, onClose }: OnceProps) {
  const given = secrets.filter((secret): secret is [string, string] => Boolean(secret[1]))
  return (
    <Dialog title={title} stays wide onClose={onClose}>
      <p class="notice warn" role="status">
        <Icon name="warning" />
        {text.copyNow}
      </p>
      <dl class="secrets">
        {given.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <code>{value}</code>
              <CopyButton value={value} name={name} label={text.copy} />
            </dd>
          </div>
        ))}
      </dl>
      {children}
      <div class="actions end">
        <button type="button" class="button primary" onClick={onClose}>
          {text.copiedIt}
        </button>
      </div>
    </Dialog>
  )
}
