import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Icon, type IconName } from './icon'

interface MenuProps {
  label: string
  icon?: IconName
  /** Show the label only to readers of the screen. */
  compact?: boolean
  align?: 'start' | 'end'
  children: ComponentChildren | ((close: () => void) => ComponentChildren)
}

/** A button, and a panel below it that closes when the focus leaves it. */
export function Menu({ label, icon, compact = false, align = 'end', children }: MenuProps) {
  const [open, setOpen] = useState(false)
  const root = useRef<HTMLDivElement>(null)
  const button = useRef<HTMLButtonElement>(null)
  useEffect(() => {
    if (!open) return
    const leave = (event: Event) => root.current?.contains(event.target as Node) || setOpen(false)
    document.addEventListener('pointerdown', leave)
    document.addEventListener('focusin', leave)
    return () => {
      document.removeEventListener('pointerdown', leave)
      document.removeEventListener('focusin', leave)
    }
  }, [open])
  const close = () => {
    setOpen(false)
    button.current?.focus()
  }
  const escape = (event: KeyboardEvent) => {
    if (event.key !== 'Escape' || !open) return
    event.stopPropagation()
    close()
  }
  return (
    <div class="menu" ref={root} onKeyDown={escape}>
      <button ref={button} type="button" class="button" aria-expanded={open} title={label} onClick={() => setOpen(!open)}>
        {icon && <Icon name={icon} />}
        <span class={compact ? 'hidden' : ''}>{label}</span>
        <Icon name="down" />
      </button>
      {open && <div class={`menu-panel ${align}`}>{typeof children === 'function' ? children(close) : children}</div>}
    </div>
  )
}
