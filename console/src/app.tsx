import type { ComponentType } from 'preact'
import { useEffect, useMemo } from 'preact/hooks'
import { createApi } from './api'
import { LoadNotice } from './components/states'
import type { CurrentKey } from './contract'
import { AccessContext } from './key'
import { useLoad } from './load'
import { go, to, useRoute } from './router'
import { isListed, mayOpen, SCREENS, type Screen } from './screens'
import { useSession } from './session'
import { Shell } from './shell'
import { SignIn } from './signin'
import * as statesSaid from './text/states'
import { words as statesWords } from './text/states'

/** The page to sign in on, or what the key may see. */
export function App() {
  const session = useSession()
  if (session.state !== 'in') return <SignIn ended={session.state === 'ended'} />
  return <SignedIn key={session.kept.token} />
}

function SignedIn() {
  const { workspace } = useRoute()
  const api = useMemo(() => createApi(), [])
  const load = useLoad('key', (signal) => api.keys.current.query(undefined, { signal }))
  const key = load.value
  useEffect(() => {
    if (key && !workspace) go(to(firstPath(key), {}, key.workspace), 'replace')
  }, [key, workspace])
  if (!key || !workspace) {
    return (
      <main class="sign-in">
        <LoadNotice load={load} />
      </main>
    )
  }
  return <InWorkspace key={workspace} current={key} workspace={workspace} />
}

function InWorkspace({ current, workspace }: { current: CurrentKey; workspace: string }) {
  const route = useRoute()
  const api = useMemo(() => createApi(workspace), [workspace])
  const screens = SCREENS.filter(({ scopes }) => mayOpen(current, scopes))
  const screen = screens.find(({ path }) => path === route.screen)
  const isKnown = current.workspaces.includes(workspace) || current.hasMoreWorkspaces
  return (
    <AccessContext.Provider value={{ api, key: current, workspace }}>
      <Shell screens={screens.filter((each) => isListed(current, each))} active={screen}>
        {isKnown ? <Shown component={screen && componentOf(current, screen, route.rest.length > 0)} /> : <Nothing said={statesSaid.workspaceMissing(workspace)} />}
      </Shell>
    </AccessContext.Provider>
  )
}

function componentOf(key: CurrentKey, screen: Screen, isDetail: boolean): ComponentType | undefined {
  if (isDetail && screen.detail) return screen.detail
  return screen.isInner || isListed(key, screen) ? screen.component : undefined
}

function Shown({ component: Component }: { component: ComponentType | undefined }) {
  return Component ? <Component /> : <Nothing said={statesWords.notHere} />
}

function Nothing({ said }: { said: string }) {
  return (
    <div class="empty">
      <h1>{statesWords.missing}</h1>
      <p>{said}</p>
      <p>
        <a href="#/">{statesWords.toEvents}</a>
      </p>
    </div>
  )
}

function firstPath(key: CurrentKey): string[] {
  const first = SCREENS.find((screen) => isListed(key, screen))
  return first ? [first.path] : ['']
}
