// Drives one browser for the tests. Usage: driver.mjs CHROMIUM. Reads JSON lines [command, ...arguments], and answers
// each with {value} or {error}. It ends with its input. Fields and buttons are found by their names, as a person finds them.
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import readline from 'node:readline'
import { chromium } from 'playwright-core'

const PATIENCE_MS = 10_000
// Each window would load two pages of the address bar, which take as long as a small page of ours. This option replaces
// Playwright's own, so it repeats what that says.
const UNUSED = [
  'WebUIOmniboxPopup', 'WebUIOmniboxAimPopup', 'AvoidUnnecessaryBeforeUnloadCheckSync', 'DestroyProfileOnBrowserClose',
  'HttpsUpgrades', 'HttpsFirstBalancedModeAutoEnable', 'LensOverlay', 'MediaRouter', 'PaintHolding', 'AimEnabled',
  'ThirdPartyStoragePartitioning', 'AvoidCorsURLLoaderRestartOnRedirect', 'OptimizationHints',
  'NetworkTimeServiceQuerying', 'PreconnectToSearch',
]
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const browser = await chromium.launch({
  executablePath: process.argv[2],
  chromiumSandbox: false, // there is no sandbox as root, and it opens only our own pages
  args: ['--disable-gpu', '--disable-quic', '--no-first-run', `--disable-features=${UNUSED}`],
})
let page
let problems = []
let warnings = []
let asked = []

/** The server gets the request, but the page gets no answer. */
async function loseAnswer(route) {
  await route.fetch()
  await route.abort()
}

/** What a person would look for: each step is a method of a locator (`getByRole`, `nth`) with its arguments. */
function found(steps) {
  return steps.reduce((within, [method, ...args]) => within[method](...args), page)
}

const commands = {
  async open(url, refused, unanswered, { width = 800, height = 720, timezoneId = 'UTC', session, ...options } = {}) {
    await page?.context().close()
    page = await browser.newPage({ viewport: { width, height }, locale: 'en-GB', timezoneId, ...options })
    page.setDefaultTimeout(PATIENCE_MS)
    problems = []
    warnings = []
    asked = []
    page.on('request', (request) => asked.push(request.url()))
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()))
    page.on('console', (message) => message.type() === 'warning' && warnings.push(message.text()))
    page.on('pageerror', (error) => problems.push(String(error)))
    // The answer of a proxy without a server behind it, which has no headers for other origins.
    for (const pattern of refused) await page.route(pattern, (route) => route.fulfill({ status: 503 }), { times: 1 })
    for (const pattern of unanswered) await page.route(pattern, loseAnswer, { times: 1 })
    const before = session && (await page.addInitScript((kept) => Object.assign(sessionStorage, kept), session))
    await page.goto(url)
    await before?.dispose()
  },
  act: (steps, action, ...args) => found(steps)[action](...args),
  keyboard: (action, ...args) => page.keyboard[action](...args),
  mouse: (action, ...args) => page.mouse[action](...args),
  goto: async (url) => void (await page.goto(url)),
  reload: async () => void (await page.reload()),
  back: async () => void (await page.goBack()),
  offline: (isOffline) => page.context().setOffline(isOffline),
  async download(steps) {
    const [download] = await Promise.all([page.waitForEvent('download'), found(steps).click()])
    return { name: download.suggestedFilename(), text: await readFile(await download.path(), 'utf8') }
  },
  /**
   * What axe-core finds against WCAG 2.2 AA: a line for each rule, with the first places. Only these leave the page.
   * `ofColours` checks only the rules whose result depends on colours.
   */
  async violations(ofColours) {
    const isLoaded = await page.evaluate(() => 'axe' in globalThis)
    if (!isLoaded) await page.evaluate(axe) // not as a script of the page, which its policy would refuse
    return page.evaluate(async (ofColours) => {
      const everything = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
      const runOnly = ofColours ? ['color-contrast', 'link-in-text-block'] : everything
      const { violations } = await axe.run(document, { runOnly, resultTypes: ['violations'] })
      return violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html }) => html).join(' ')}`)
    }, ofColours)
  },
  fill: (label, text) => page.getByLabel(label).fill(text),
  click: (name) => page.getByRole('button', { name }).click(),
  url: () => page.url(),
  state: () => page.getByRole('status').textContent(),
  alert: () => page.getByRole('alert').textContent(),
  value: (label) => page.getByLabel(label).inputValue(),
  enabled: (name) => page.getByRole('button', { name }).isEnabled(),
  notes: () => page.getByRole('list', { name: 'Latest' }).locator('.text').allTextContents(),
  text: (selector) => page.locator(selector).allTextContents(),
  problems: () => problems.splice(0),
  warnings: () => warnings,
  asked: () => asked,
  evaluate: (expression) => page.evaluate(expression),
  async show({ colorScheme, ...viewport }) {
    await page.emulateMedia({ colorScheme })
    await page.setViewportSize(viewport)
  },
  async picture(path) {
    await page.screenshot({ path, animations: 'disabled' })
  },
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const [command, ...args] = JSON.parse(line)
  let answer
  try {
    answer = { value: await commands[command](...args) }
  } catch (error) {
    answer = { error: String(error) }
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
await browser.close()
