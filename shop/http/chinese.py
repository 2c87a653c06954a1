"""What the details of a no say in Chinese: the sentence beside each English one, `{}` for the facts in it."""

import re
from functools import cache
from typing import Any

OF_PYDANTIC = {  # type of a validation error → what it says; the names are those of its context
    "missing": "必填",
    "extra_forbidden": "没有这个字段",
    "string_type": "须为文本",
    "string_too_short": "至少 {min_length} 个字符",
    "string_too_long": "至多 {max_length} 个字符",
    "string_pattern_mismatch": "格式不符：{pattern}",
    "int_type": "须为整数",
    "int_parsing": "须为整数",
    "int_from_float": "须为整数",
    "bool_type": "须为 true 或 false",
    "bool_parsing": "须为 true 或 false",
    "list_type": "须为列表",
    "dict_type": "须为对象",
    "model_type": "须为对象",
    "model_attributes_type": "须为对象",
    "too_short": "至少 {min_length} 项",
    "too_long": "至多 {max_length} 项",
    "greater_than": "须大于 {gt}",
    "greater_than_equal": "不得小于 {ge}",
    "less_than": "须小于 {lt}",
    "less_than_equal": "不得大于 {le}",
    "enum": "须为下列之一：{expected}",
    "literal_error": "须为下列之一：{expected}",
    "date_type": "须为日期 YYYY-MM-DD",
    "date_parsing": "须为日期 YYYY-MM-DD",
    "date_from_datetime_parsing": "须为日期 YYYY-MM-DD",
    "datetime_type": "须为带时区的时间（RFC 3339）",
    "datetime_parsing": "须为带时区的时间（RFC 3339）",
    "id": "须为 {form} 形式的编号",
}

SENTENCES = {
    # the shape of a body
    "The body is not UTF-8.": "请求内容不是 UTF-8。",
    "The body must be a JSON object.": "请求内容须为 JSON 对象。",
    "The body is not JSON: {}.": "请求内容不是 JSON：{}。",
    "contains a NUL character": "含有 NUL 字符",
    "contains half of a surrogate pair": "含有不完整的代理对字符",
    "the key contains a NUL character": "键名含有 NUL 字符",
    "the key contains half of a surrogate pair": "键名含有不完整的代理对字符",
    "{} is not a whole number in range": "{} 不是允许范围内的整数",
    "is given twice": "重复给出",
    "is nested deeper than {} levels": "嵌套超过 {} 层",
    "A body here has at most {} bytes.": "此处请求内容至多 {} 字节。",
    "Nothing is served at this address; see /v1/docs.": "此地址没有内容；见 /v1/docs。",
    "This address is not asked with that method.": "此地址不支持该请求方法。",
    "This cursor belongs to no such list.": "该游标不属于此列表。",
    "{} is not one of {}.": "{} 须为下列之一：{}。",
    "{} is not a month, YYYY-MM.": "{} 不是 YYYY-MM 形式的月份。",
    "`to` is the first month no longer counted, so it comes after `from`.": "`to` 是不再计入的首月，须晚于 `from`。",
    "The last fact number is {}.": "最后的事实编号是 {}。",
    # one of several fields
    "give either lines or accept_all": "lines 与 accept_all 须二选一",
    "give either packs or quantity": "packs 与 quantity 须二选一",
    "give either listing_id or product_id": "listing_id 与 product_id 须二选一",
    "give either product or product_id": "product 与 product_id 须二选一",
    "give either area_mu_hundredths or heads": "area_mu_hundredths 与 heads 须二选一",
    "give either principal_id or principal_name": "principal_id 与 principal_name 须二选一",
    "packs are those of a listing: give listing_id, or quantity":
        "packs 是上架商品的件数：请给出 listing_id，或改用 quantity",
    "max_packs is below min_packs": "max_packs 小于 min_packs",
    "tiers rise in packs and fall in price": "阶梯的件数须递增、单价须递减",
    "the first tier begins at min_packs or below": "首个阶梯的件数不得大于 min_packs",
    "max_packs is below min_packs.": "max_packs 小于 min_packs。",
    "The first tier begins at min_packs or below.": "首个阶梯的件数不得大于 min_packs。",
    "a return names the fields to correct, an approval names none": "退回须指明待更正的字段，通过则不指明",
    "an application stands in the list once": "同一申请在列表中只出现一次",
    # people
    "Give a phone or an e-mail.": "请填写手机号或邮箱。",
    "Give a phone or an e-mail, not both.": "手机号与邮箱只填一项。",
    "This is not a phone or an e-mail.": "这不是手机号或邮箱。",
    "This is neither a mobile phone number nor an e-mail address.": "这既不是手机号也不是邮箱地址。",
    "This is not a mobile phone number.": "这不是手机号。",
    "This is not an e-mail address.": "这不是邮箱地址。",
    "This e-mail is taken.": "该邮箱已被使用。",
    "This phone is taken.": "该手机号已被使用。",
    "Give your name.": "请填写姓名。",
    "Give the token of the link, or the code.": "请提供链接中的令牌，或验证码。",
    "Give the token of the link, or the log-in and the code.": "请提供链接中的令牌，或登录名与验证码。",
    "Roles here are: {}.": "此处的角色为：{}。",
    "Scopes here are: {}.": "此处的权限范围为：{}。",
    "There is no division {}.": "没有区划 {}。",
    "{} is no division.": "{} 不是区划。",
    "A county reviewer has counties.": "县级审核人须指定县。",
    "Only members of a buyer have an order limit.": "只有采购方成员有下单限额。",
    "Only members of an admin organisation have regions.": "只有管理机构成员有管辖区域。",
    "An auditor holds no other role.": "审计人不兼任其他角色。",
    "Somebody registered with this contact meanwhile: accept with that password.":
        "此联系方式已被注册：请用其密码接受邀请。",
    "The invitation was used, withdrawn, or has expired; ask for another.":
        "邀请已使用、已撤回或已过期；请索取新的邀请。",
    "An invitation of this contact is open; withdraw it first.": "此联系方式已有未接受的邀请；请先撤回。",
    "Too many log-ins at this moment.": "此刻登录人数过多。",
    "Too many wrong guesses at this account.": "此账号错误尝试过多。",
    "There is no new authenticator to confirm.": "没有待确认的验证器。",
    # organisations and units
    "This is not a unified social credit code (GB 32100).": "这不是统一社会信用代码（GB 32100）。",
    "Another organisation has this code.": "该代码已属于另一组织。",
    "An organisation without a code hangs below one that has it.": "没有代码的组织须挂靠在有代码的组织之下。",
    "A union or an enterprise has a code of its own.": "工会或企业须有自己的代码。",
    "No active organisation of this kind has this code.": "没有此代码的该类有效组织。",
    "No division has this code today.": "今天没有此代码的区划。",
    "This code is no county on this day.": "该代码当日不是县级区划。",
    "The product's origin is no county on this day.": "产品产地当日不是县级区划。",
    "Name the unit that is to stand below.": "请指明下级单位。",
    "This unit has a supervising unit already.": "该单位已有主管单位。",
    "Units of your own organisation are moved, not linked.": "本组织的单位应移动而非关联。",
    "A unit does not follow itself.": "单位不能接续自身。",
    "A unit of another organisation hangs below one of yours.": "另一组织的单位挂靠在您的单位之下。",
    "The successor is another active buying organisation.": "接续者须为另一个有效的采购组织。",
    "A canteen that is shared with another unit is filed by that unit.": "与其他单位共用的食堂由该单位填报。",
    "Only a canteen can be outsourced.": "有食堂才能外包。",
    "The unit gave no such mandate to a caterer.": "该单位没有给予餐饮企业此项委托。",
    "No such budget unit.": "没有此预算单位。",
    "No such budget unit of yours.": "您没有此预算单位。",
    "No such delivery address of yours.": "您没有此收货地址。",
    "Your role here may not do this; it takes one of: {}.": "您在此处的角色不能这样做；须为下列之一：{}。",
    # mandates and applications
    "The mandate ends before it begins.": "委托的结束早于开始。",
    "The mandate ends after it begins.": "委托的结束须晚于开始。",
    "The mandate is over.": "委托已经结束。",
    "A mandate is at most {} days long.": "委托至多 {} 天。",
    "An organisation needs no mandate for its own units.": "本组织的单位无需委托。",
    "A machine's token does not enter for a cooperative.": "程序令牌不能代合作社录入。",
    "Another person helps than the one who gives the mandate.": "协助人须与授权人不同。",
    "Who recommended this cooperative does not enter for it.": "推荐该合作社的人不能代其录入。",
    "A rule ends after it begins.": "规则的结束须晚于开始。",
    "This document holds no more.": "该材料已不能再增加。",
    "An organisation is renamed or moved before it is admitted only.": "组织只能在准入之前更名或迁移。",
    "Documents are: {}.": "材料种类为：{}。",
    "An application has at most {} documents.": "申请至多有 {} 份材料。",
    "Say why it is returned.": "请说明退回原因。",
    "The suspension ends before it begins.": "暂停的结束早于开始。",
    "size times yield is {} grams": "面积（头数）乘以单产为 {} 克",
    "this product is declared already": "该产品已申报",
    # goods, orders, money
    "A harvest lies in the past.": "采收日不能在将来。",
    "The lot ends before it is harvested.": "批次的保质期早于采收日。",
    "The window ends before it begins.": "供货期的结束早于开始。",
    "The window is over.": "供货期已过。",
    "A window is at most {} days long.": "供货期至多 {} 天。",
    "There is a lot of this code already.": "已有此编号的批次。",
    "Other listings of this product are measured in {}.": "该产品的其他上架商品以 {} 计量。",
    "The listing is at revision {} now.": "该上架商品现为第 {} 版。",
    "This listing cannot become {} now.": "该上架商品现在不能变为 {}。",
    "The order would take {} fen and {} fen are left of the limit.": "订单需 {} 分，授信余额为 {} 分。",
    "Lots are missing of {} of the products; `short` says of which.": "有 {} 种产品的批次不足；详见 `short`。",
    "The order is cancelled already.": "订单已经取消。",
    "A supplier order that is {} is not inspected.": "状态为 {} 的子订单不能验收。",
    "A supplier order that is {} cannot become {}.": "状态为 {} 的子订单不能变为 {}。",
    "nothing of this lot was shipped for this line": "该批次没有为此行发货",
    "this lot of this line is counted above already": "此行的该批次上面已计数",
    "say why packs are rejected": "请说明拒收原因",
    "{} packs of a shipped lot are not told of": "已发货批次中有 {} 件没有说明",
    "A carrier of your own needs its waybill.": "自有承运人须填写运单号。",
    "The simulated carrier carries no real goods.": "模拟承运人不运送真实货物。",
    "This carrier makes its own waybills.": "该承运人自行生成运单号。",
    "This notice is paid already.": "该缴款通知已付清。",
    "No payment notice has this reference.": "没有此编号的缴款通知。",
    "The gateway takes at most {} fen at once; pay by transfer.": "支付通道单笔至多 {} 分；请转账支付。",
    "The money was sent from the day of the refund on, and today at the latest.":
        "汇款日不得早于退款日，也不得晚于今天。",
    "The webhook is not signed with our secret.": "该通知没有用我们的密钥签名。",
    "The webhook holds no event.": "该通知不含事件。",
    # what is watched, mapped, photographed and measured
    "A mapping ends after it begins, not in the past and not later than it does.":
        "对应关系须晚于开始而结束，不得在过去，也不得晚于原定结束。",
    "A rule begins on a day to come: what was flagged by another stays.":
        "规则须自将来某日起生效：此前按其他规则标记的仍然有效。",
    "A rule ends on a day to come, after the one that it begins on.": "规则须在将来某日结束，且晚于其开始。",
    "A title is empty.": "有标题为空。",
    "Buyers reported this price: give them an answer.": "采购方举报了此价格：请予答复。",
    "It cannot have been signed on a day to come.": "签署日不能在将来。",
    "Lots of several products are several recalls.": "多种产品的批次须分别召回。",
    "No market has quoted such a series.": "没有市场报过这一行情。",
    "No such division.": "没有此区划。",
    "Only what was reported, and nothing else, is taken up.": "只受理所举报的内容。",
    "Relevance is to words, and q has none.": "相关度按词计算，而 q 中没有词。",
    "Say to which price it is to be lowered.": "请说明须降至的价格。",
    "The certificate has expired.": "证书已过期。",
    "The day lies between today and a year ahead.": "日期须在今天至一年之内。",
    "The day lies within the last year.": "日期须在过去一年之内。",
    "The day of delivery has passed.": "送达日已过。",
    "The header of the photo cannot be read.": "无法读取照片的文件头。",
    "The last day has passed.": "最后一天已过。",
    "The lot lies there already.": "该批次已在该处。",
    "The photo cannot be unpacked.": "无法解码照片。",
    "The prices end before they begin.": "价格有效期的结束早于开始。",
    "The requisition is at version {} now.": "该请购单现为第 {} 版。",
    "There is a place of this name already.": "已有同名的地点。",
    "There is no column {}.": "没有列 {}。",
    "These prices hold no more today: name a later day.": "这些价格今天已失效：请指定更晚的日期。",
    "This alert cannot become {} now.": "该预警现在不能变为 {}。",
    "This is not below the present price.": "此价格不低于现价。",
    "This member does not hold that role.": "该成员没有此角色。",
    "This name has no words.": "该名称中没有词。",
    "a listing stands in the list once": "同一上架商品在列表中只出现一次",
    "a return says why": "退回须说明原因",
    "a return says why, in a note or field by field": "退回须以附注或逐项说明原因",
    "an approval names no fields to correct": "通过不指明待更正的字段",
    "give either pack, or base_unit and pack_base_quantity": "pack 与 base_unit、pack_base_quantity 须二选一",
    "it comes to {} of the base unit {}, which is more than any pack holds":
        "折合 {} 个基本单位 {}，超过任何包装的容量",
    "it comes to {} of the base unit {}, which is no whole number": "折合 {} 个基本单位 {}，不是整数",
    "{} divides by zero": "{} 的除数为零",
    "{} is a measure: nothing is packed in it": "{} 是计量单位，不能作为包装",
    "{} is a package: say what is in it": "{} 是包装：请说明其内容",
    "{} is no unit that goods are sold by": "{} 不是商品销售单位",
    "{} is not a number such as 12, 2.5 or 1/3": "{} 不是 12、2.5 或 1/3 这样的数",
    "{} is not a pack such as 10斤箱 or 500g×20袋/箱": "{} 不是 10斤箱 或 500g×20袋/箱 这样的规格",
    "{} is not the name of a package": "{} 不是包装名称",
    "{} is nothing": "{} 没有内容",
    "{} names no unit behind {}": "{} 在 {} 之后没有单位",
    "ends before it begins": "结束早于开始",
    "a listing shows no such field": "上架商品没有此字段",
    "a pack of {} g weighs at least that, and not {} g": "净含 {} 克的包装毛重不得小于此数，而非 {} 克",
    # files, webhooks and the house itself
    "The file is empty.": "文件为空。",
    "The file has no column {}.": "文件缺少列 {}。",
    "There are no events of the kind {}.": "没有 {} 类事件。",
    "Only https addresses are called.": "只调用 https 地址。",
    "The address is not a plain URL.": "该地址不是普通的网址。",
    "The address must not hold a user name.": "地址中不得含用户名。",
    "The address names no host.": "地址中没有主机名。",
    "Write the host as a name or as a plain IP address.": "主机请写作名称或普通 IP 地址。",
    "Port {} belongs to another service.": "端口 {} 属于其他服务。",
    "{} is not a public address.": "{} 不是公网地址。",
    "Every connection to the database is in use.": "数据库连接已全部占用。",
    "The database is not answering.": "数据库没有响应。",
    "The store of files is not answering.": "文件存储没有响应。",
}  # fmt: skip


@cache
def patterns() -> list[tuple[re.Pattern[str], str]]:
    return [
        (re.compile(re.escape(english).replace(r"\{\}", "(.+?)"), re.DOTALL), chinese)
        for english, chinese in SENTENCES.items()
        if "{}" in english
    ]


def in_chinese(sentence: str) -> str | None:
    """The Chinese sentence, or None where there is none: a title in Chinese then says it alone."""
    if sentence in SENTENCES:
        return SENTENCES[sentence]
    for pattern, chinese in patterns():
        if found := pattern.fullmatch(sentence):
            return chinese.format(*found.groups())
    return None


def of_validation(kind: str, context: dict[str, Any], message: str) -> str | None:
    """What a validation error says in Chinese."""
    if kind in OF_PYDANTIC:
        return OF_PYDANTIC[kind].format(**context)
    return in_chinese(message.removeprefix("Value error, "))
