import { useState } from 'preact/hooks'
import { words as text } from '../text/common'
import { Icon } from './icon'

const SHOWN_MS = 1_500

/** Copies `value`; `name` says what that is. */
export function CopyButton({ value, name, label }: { value: string | (() => string); name: string; label?: string }) {
  const [state, setState] = useState<'ready' | 'copied' | 'failed'>('ready')
  const copy = async () => {
    const done = await copied(typeof value === 'string' ? value : value())
    setState(done ? 'copied' : 'failed')
    setTimeout(() => setState('ready'), SHOWN_MS)
  }
  const said = { ready: '', copied: text.copied, failed: text.notCopied }[state]
  return (
    <button type="button" class={label ? 'button' : 'button quiet icon-only'} onClick={copy} aria-label={`${text.copy} ${name}`} title={`${text.copy} ${name}`}>
      <Icon name={state === 'copied' ? 'check' : 'copy'} />
      {label}
      <span class="hidden" role="status">
        {said}
      </span>
    </button>
  )
}

async function copied(value: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(value)
    return true
  } catch {
    return copiedBySelection(value) // pages without HTTPS have no clipboard
  }
}

function copiedBySelection(value: string): boolean {
  const field = document.createElement('textarea')
  field.value = value
  field.className = 'hidden'
  const before = document.activeElement
  document.body.append(field)
  field.select()
  const done = document.execCommand('copy')
  field.remove()
  if (before instanceof HTMLElement) before.focus()
  return done
}
