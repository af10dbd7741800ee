import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { Dialog } from './components/dialog'
import { Fact } from './components/fact'
import { Icon } from './components/icon'
import { Menu } from './components/menu'
import { Time } from './components/time'
import { Visible } from './components/visible'
import { useHotkeys } from './hotkeys'
import { useAccess } from './key'
import { go, to, useRoute } from './router'
import type { Screen } from './screens'
import { forget, useSession } from './session'
import { ZONE } from './shown'
import { revokeOwnKey } from './signin'
import * as textSaid from './text/common'
import { words as text } from './text/common'
import * as signInSaid from './text/sign-in'
import { words as signInWords } from './text/sign-in'
import { nextTheme, theme } from './theme'

interface ShellProps {
  screens: Screen[]
  active: Screen | undefined
  children: ComponentChildren
}

/** What stands around every screen: the navigation, the workspace, the theme and the key. */
export function Shell({ screens, active, children }: ShellProps) {
  const [help, setHelp] = useState(false)
  const chosen = theme.use()
  useHotkeys({ '?': () => setHelp(true) })
  return (
    <div class="shell">
      <a class="skip" href="#content" onClick={skip}>
        {text.skip}
      </a>
      <header class="bar">
        <span class="brand">
          <svg viewBox="0 0 16 16" width="18" height="18" aria-hidden="true">
            <rect width="16" height="16" rx="4" />
            <path d="M4 4.5h8M4 8h5.5M4 11.5h8" />
          </svg>
          {text.product}
        </span>
        <Workspaces />
        <nav aria-label={text.nav}>
          {screens.map((screen) => (
            <a key={screen.path} href={to([screen.path])} aria-current={screen === active ? 'page' : undefined}>
              <Icon name={screen.icon} />
              {screen.name}
            </a>
          ))}
        </nav>
        <div class="bar-end">
          <button type="button" class="button quiet icon-only" title={textSaid.theme[chosen]} aria-label={textSaid.theme[chosen]} onClick={nextTheme}>
            <Icon name="theme" />
          </button>
          <button type="button" class="button quiet icon-only" title={text.help} aria-label={text.help} onClick={() => setHelp(true)}>
            <Icon name="help" />
          </button>
          <Account />
        </div>
      </header>
      <main id="content" tabindex={-1}>
        {children}
      </main>
      {help && <Help onClose={() => setHelp(false)} />}
    </div>
  )
}

/** A link would change the address, which is the state. */
function skip(event: Event): void {
  event.preventDefault()
  document.getElementById('content')?.focus()
}

function Workspaces() {
  const { key, workspace } = useAccess()
  const { screen } = useRoute()
  const names = key.workspaces.includes(workspace) ? key.workspaces : [workspace, ...key.workspaces]
  return (
    <label class="workspace">
      <span class="hidden">{text.workspace}</span>
      <select value={workspace} onChange={(event) => go(to([screen], {}, event.currentTarget.value))}>
        {names.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </label>
  )
}

function Account() {
  const { key } = useAccess()
  const session = useSession()
  const isTemporary = session.state === 'in' && session.kept.temporary
  const out = async () => {
    if (isTemporary) await revokeOwnKey(key.id)
    forget('out')
  }
  return (
    <Menu label={signInWords.account} icon="person" compact>
      <dl class="facts">
        <Fact name={signInWords.user}>
          <Visible>{key.userId}</Visible>
        </Fact>
        <Fact name={signInWords.keyId} class="mono">{key.id}</Fact>
        <Fact name={signInWords.scopes}>{key.scopes.join(', ')}</Fact>
      </dl>
      <p class="hint">
        {key.readsOwn && signInWords.readsOwn} {key.expiresAt ? <Expiry at={key.expiresAt} /> : signInWords.never}
      </p>
      <p class="hint">{textSaid.zone(ZONE)}</p>
      <button type="button" class="button" onClick={out}>
        {isTemporary ? signInWords.outTemporary : signInWords.out}
      </button>
    </Menu>
  )
}

function Expiry({ at }: { at: string }) {
  const [before, after] = signInSaid.expires('|').split('|')
  return (
    <>
      {before}
      <Time at={at} relative />
      {after}
    </>
  )
}

function Help({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title={text.help} onClose={onClose}>
      <dl class="keys">
        {textSaid.hotkeys.map(([key, means]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{means}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  )
}
