// Answer every text and voice (as echoes.py), and send every file back, with the modules of Tencent's @tencent-weixin/openclaw-weixin. Only its
// loop is written here, after dist/src/monitor/monitor.js, which needs the whole host.
import fs from 'node:fs/promises'
import path from 'node:path'

const own = (name) => import(`${process.env.NODE_PATH}/@tencent-weixin/openclaw-weixin/dist/src/${name}.js`)
const { startWeixinLoginWithQr, waitForWeixinLogin } = await own('auth/login-qr')
const { CDN_BASE_URL: cdnBaseUrl, listIndexedWeixinAccountIds, loadWeixinAccount } = await own('auth/accounts')
const { getConfig, getUpdates, notifyStart, sendTyping } = await own('api/api')
const { weixinMessageToMsgContext } = await own('messaging/inbound')
const { sendMessageWeixin } = await own('messaging/send')
const { sendWeixinMediaFile } = await own('messaging/send-media')
const { downloadMediaFromItem } = await own('media/media-download')

async function login () {
  const [known] = listIndexedWeixinAccountIds()
  if (known) return loadWeixinAccount(known)
  const { sessionKey } = await startWeixinLoginWithQr({})
  const { baseUrl, botToken: token } = await waitForWeixinLogin({ sessionKey })
  return { baseUrl, token }
}

const { baseUrl, token } = await login()
await notifyStart({ baseUrl, token })

async function saveMedia (content, mime, folder, limit, name) {
  const file = path.join(await fs.mkdtemp(path.join(process.env.TMPDIR, 'media-')), name ?? 'media')
  await fs.writeFile(file, content)
  return { path: file }
}

async function answer (message) {
  const to = message.from_user_id
  const opts = { baseUrl, token, contextToken: message.context_token }
  const [item] = message.item_list
  if (item.type === 3) {
    await sendMessageWeixin({ to, text: `heard ${item.voice_item.playtime} ms`, opts })
  } else if (item.type === 1) {
    const { typing_ticket: ticket } = await getConfig({ ...opts, ilinkUserId: to })
    await sendTyping({ baseUrl, token, body: { ilink_user_id: to, typing_ticket: ticket, status: 1 } })
    const { Body: text, ReplyToBody: quoted } = weixinMessageToMsgContext(message, 'own')
    for (const words of [`echo: ${text}${quoted ? ` [${quoted}]` : ''}`, ...(text === 'three' ? ['second', 'third'] : [])]) {
      await sendMessageWeixin({ to, text: words, opts }).catch((problem) => console.log('refused:', words, problem.message))
    }
  } else {
    const got = await downloadMediaFromItem(item, { cdnBaseUrl, saveMedia, log: console.log, errLog: console.error, label: '' })
    await sendWeixinMediaFile({ filePath: got.decryptedFilePath ?? got.decryptedPicPath, to, text: '', opts, cdnBaseUrl })
  }
}

let cursor = ''
for (;;) {
  const answered = await getUpdates({ baseUrl, token, get_updates_buf: cursor })
  cursor = answered.get_updates_buf || cursor
  for (const message of answered.msgs ?? []) await answer(message)
}
