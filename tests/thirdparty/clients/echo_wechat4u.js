// Answer every text with wechat4u, as its own documentation shows it.
const Wechat = require(`${process.env.NODE_PATH}/wechat4u`)

const bot = new Wechat()
bot.on('error', error => console.error(error))
bot.on('message', message => {
  if (message.MsgType === bot.CONF.MSGTYPE_TEXT && !message.isSendBySelf) {
    bot.sendMsg(`echo: ${message.Content}`, message.FromUserName).catch(error => console.error(error))
  }
})
bot.start()
