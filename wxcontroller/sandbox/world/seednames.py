"""Names of the people and groups of a seeded world."""


def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def pairs(text: str) -> tuple[tuple[str, str], ...]:
    """Split ``字:sound`` pairs."""
    return tuple((char, sound) for char, _, sound in (pair.partition(":") for pair in text.split()))


SURNAMES = pairs(
    "王:wang 李:li 张:zhang 刘:liu 陈:chen 杨:yang 黄:huang 赵:zhao 吴:wu 周:zhou 徐:xu 孙:sun"
    " 马:ma 朱:zhu 胡:hu 郭:guo 何:he 林:lin 高:gao 罗:luo 郑:zheng 梁:liang 谢:xie 宋:song 唐:tang"
    " 许:xu 韩:han 邓:deng 冯:feng 曹:cao 彭:peng 曾:zeng 萧:xiao 田:tian 董:dong 潘:pan 袁:yuan"
    " 蔡:cai 蒋:jiang 余:yu 于:yu 杜:du 叶:ye 程:cheng 魏:wei 苏:su 吕:lv 丁:ding 任:ren 卢:lu"
    " 姚:yao 沈:shen 钟:zhong 姜:jiang 崔:cui 谭:tan 陆:lu 欧阳:ouyang 司徒:situ 上官:shangguan"
)
GIVEN = pairs(
    "伟:wei 芳:fang 娜:na 敏:min 静:jing 丽:li 强:qiang 磊:lei 军:jun 洋:yang 勇:yong 艳:yan"
    " 杰:jie 娟:juan 涛:tao 明:ming 超:chao 秀:xiu 霞:xia 平:ping 刚:gang 桂:gui 英:ying 华:hua"
    " 玉:yu 兰:lan 红:hong 建:jian 文:wen 志:zhi 国:guo 春:chun 梅:mei 晓:xiao 雪:xue 雨:yu 欣:xin"
    " 怡:yi 子:zi 轩:xuan 浩:hao 宇:yu 博:bo 思:si 嘉:jia 俊:jun 梓:zi 涵:han 一:yi 诺:nuo 可:ke"
    " 晨:chen 佳:jia 琪:qi 瑶:yao 鑫:xin 鹏:peng 飞:fei 龙:long 凤:feng 婷:ting 慧:hui 颖:ying"
    " 倩:qian 薇:wei 然:ran 睿:rui 泽:ze 航:hang 毅:yi 林:lin 森:sen 云:yun 海:hai"
)
ENGLISH_FIRST = words(
    "Alice Bob Carol David Emma Frank Grace Henry Ivy Jack Kate Leo Mia Noah Olivia Peter Queenie"
    " Ryan Sophie Tom Una Victor Wendy Xavier Yvonne Zoe Amelia Ben Chloe Daniel Ella Felix Hannah"
    " Isaac Julia Kevin Lily Max Nina"
)
ENGLISH_LAST = words(
    "Smith Brown Wilson Taylor Moore Clark Lewis Walker Hall Young King Wright Hill Green Baker"
    " Adams Nelson Carter Mitchell Turner Parker Collins Edwards Stewart Morris Murphy Cook Rogers"
    " Reed Bell"
)
DECORATIONS = (
    "{}😄", "🌹{}", "{} & Co.", "A{}", "{}☀", "<{}>", "{}🤖", "~{}~", "{}❤", "{} 🇨🇳",
    '"{}"', "{}'s 小店", "{}-代购", "０{}",
)  # fmt: skip
# Every world has these friends, so that clients that decode names wrongly are found.
AWKWARD_FRIENDS = (
    ("小明", "xiaoming", "同事小明"),
    ("A&B 工作室", "ABgongzuoshi", ""),
    ("阿丁😄", "ading", ""),
    ("<老船长>", "laochuanzhang", "张叔 & 李婶"),
    ("🇨🇳旅行家🇨🇳", "lvxingjia", ""),
    ("&lt;b&gt;", "ltbgt", ""),
    ("Tom O'Neil", "tomoneil", ""),
)
REMARKS = ("同事{}", "{}（客户）", "{} 同学", "房东{}", "{}-快递", "表哥{}", "健身{}", "{}&家人", "大学-{}")
PLACES = (
    ("广东", "深圳"), ("广东", "广州"), ("北京", "海淀"), ("上海", "浦东新区"), ("浙江", "杭州"), ("四川", "成都"),
    ("江苏", "南京"), ("湖北", "武汉"), ("福建", "厦门"), ("", ""), ("", ""), ("Auckland", ""), ("新加坡", ""),
)  # fmt: skip
SIGNATURES = (
    "", "", "", "海内存知己", "Stay hungry & foolish", "今天也要加油😄", "有事请打电话", "<br>不是换行",
    "keep walking",
    "吃饭睡觉写代码", "山高水长", "1 < 2 && 3 > 2",
)  # fmt: skip
OFFICIAL = (
    ("每日科技早报", "meirikejizaobao", 8), ("城市公交出行", "chengshigongjiaochuxing", 24),
    ("老王读书 & 茶", "laowangdushucha", 8), ("云上银行服务号", "yunshangyinhangfuwuhao", 24),
    ("Weather Now", "weathernow", 29), ("社区医院预约", "shequyiyuanyuyue", 24), ("深夜食谱", "shenyeshipu", 8),
    ("国家图书馆之友", "guojiatushuguanzhiyou", 56), ("快递小助手", "kuaidixiaozhushou", 28),
    ("Open Source 周刊", "os", 8),
)  # fmt: skip
# (id, name, VerifyFlag) of the special accounts that an address book holds; filehelper is never in it (5.3)
SPECIAL = (
    ("weixin", "微信团队", 56),
    ("fmessage", "朋友推荐消息", 0),
    ("medianote", "语音记事本", 0),
    ("floatbottle", "漂流瓶", 0),
    ("newsapp", "腾讯新闻", 0),
)
GROUPS = (
    "周末爬山 & 野餐", "产品需求讨论", "家人群😄", "", "大学同学 2012 级", "<重要> 项目通知", "羽毛球🏸每周三",
    "Reading Club",
    "小区业主 3 栋", "拼车上下班", "Rust 学习小组", "美食探店🍜", "客户支持 A&B", "公司年会筹备组", "宝妈交流群❤",
)  # fmt: skip
DISPLAYS = ("领队", "管理员小助手", "{} (3栋502)", "财务-{}", "在路上的{}", "{}😄", "值班中", "Dr. {}", "A & {}")
