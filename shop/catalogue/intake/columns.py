"""The columns of a sheet of listings, what cooperatives call them, and the words of what can be wrong."""

from shop.catalogue.models import CATEGORIES
from shop.sheets.mapping import Column

MOST_TIERS = 3


def price(name: str, *titles: str) -> Column:
    return Column(name, titles, "fen", min=1, max=1_000_000_000)


def packs(name: str, *titles: str) -> Column:
    return Column(name, titles, "int", min=1, max=1_000_000, suffixes=("箱", "件", "袋", "包", "盒", "筐", "份"))


def month(name: str, *titles: str) -> Column:
    return Column(name, titles, "int", min=1, max=12, suffixes=("月", "月份"))


COLUMNS = (
    Column(
        "code", ("商品编码", "Product code", "商品编号", "产品编码", "产品编号", "货号", "编码", "sku"), "code",
        required=True, pattern=r"[^\x00-\x20]{1,64}",
    ),
    Column("name", ("商品名称", "Product name", "产品名称", "品名", "名称", "商品", "产品"), min=1, max=100),
    Column("name_en", ("英文名称", "English name", "英文名", "英文品名"), min=1, max=100),
    Column(
        "category", ("品类", "Category", "商品分类", "商品品类", "产品类别", "分类", "类别"), "enum",
        choices=dict(CATEGORIES.items()),
    ),
    Column("origin", ("产地", "Origin", "产地区划代码", "产地县", "产地代码", "原产地", "产区"), min=1, max=50),
    Column(
        "storage", ("储存条件", "Storage", "贮存条件", "储存方式", "保存方式", "温层"), "enum",
        choices={"ambient": ("常温", "阴凉"), "chilled": ("冷藏", "保鲜"), "frozen": ("冷冻",)},
    ),
    Column(
        "shelf_life_days", ("保质期(天)", "Shelf life (days)", "保质期", "保质期天数", "保鲜期"), "int", min=1,
        max=3650, suffixes=("天", "日"),
    ),
    Column("grade", ("等级", "Grade", "品级", "级别", "质量等级"), min=1, max=50),
    Column("variety", ("品种", "Variety", "品种名", "种类"), min=1, max=50),
    Column("spec", ("规格说明", "Specification", "规格描述", "品质规格", "果径规格", "单果规格"), min=1, max=200),
    Column(
        "pack_name", ("包装规格", "Pack", "销售规格", "包装", "箱规", "规格", "包装名称"), required=True, min=1, max=50
    ),
    Column("content", ("每件净含量", "Net content", "净含量", "净重", "每箱净重", "装量"), min=1, max=50),
    Column("pack_grams", ("每件毛重", "Gross weight", "毛重", "每箱毛重"), "grams", min=1, max=100_000_000),
    price("price_fen", "单价(元)", "Price", "单价", "单价元", "价格", "售价", "供货价", "销售价", "含税单价"),
    packs("min_packs", "起订量", "Minimum order", "最小起订量", "起批量", "起订件数"),
    packs("step_packs", "增订量", "Order step", "递增量", "加订量"),
    packs("max_packs", "最大订购量", "Maximum order", "限购量", "最大起订量", "可供数量", "上限"),
    packs("tier2_packs", "阶梯2起订量", "Tier 2 from", "阶梯2数量"),
    price("tier2_price_fen", "阶梯2单价(元)", "Tier 2 price", "阶梯2单价", "阶梯2价格"),
    packs("tier3_packs", "阶梯3起订量", "Tier 3 from", "阶梯3数量"),
    price("tier3_price_fen", "阶梯3单价(元)", "Tier 3 price", "阶梯3单价", "阶梯3价格"),
    month("season_from", "上市月份", "Season from", "供应开始月", "上市月"),
    month("season_to", "下市月份", "Season to", "供应结束月", "下市月"),
)  # fmt: skip
"""Only what names a listing is always needed; the rest is needed of a listing that is new and else stays as it is."""

BY_NAME = {column.name: column for column in COLUMNS}

EXAMPLE = {
    "code": "LC-APPLE-80", "name": "洛川苹果", "name_en": "Luochuan apples", "category": "水果", "origin": "洛川县",
    "storage": "冷藏", "shelf_life_days": "180", "grade": "一级", "variety": "红富士", "spec": "80mm 以上",
    "pack_name": "10斤箱", "content": "10斤", "pack_grams": "5.25公斤", "price_fen": "46.00",
    "min_packs": "1", "step_packs": "1", "max_packs": "1000", "tier2_packs": "50", "tier2_price_fen": "44.50",
    "tier3_packs": "200",
    "tier3_price_fen": "43.00", "season_from": "10", "season_to": "4",
}  # fmt: skip
"""The example row of the template; delete it before uploading, or the shop takes it at its word."""

WORDS: dict[str, tuple[str, str]] = {
    "required": ("新商品必填", "A new listing needs this"),
    "unknown_county": ("没有该县级区划", "No county has this code or name today"),
    "ambiguous_county": ("有多个县级区划同名，请填六位代码", "Several counties have this name; give the six digits"),
    "content_missing": ("请写明每件装多少，例如 10斤箱", "Say how much is in a pack, such as 10斤箱"),
    "pack_unclear": ("看不出每件装多少", "How much is in a pack cannot be told"),
    "content_differs": ("净含量与包装规格不一致", "The content is not what the pack says"),
    "not_whole_grams": ("换算后不是整克", "Not a whole number of grams"),
    "not_whole": ("应为整数", "Not a whole number"),
    "gross_below_net": ("毛重小于净重（{limit}克）", "A pack weighs less than the {limit} g in it"),
    "gross_missing": ("按个计的商品须填毛重", "Goods sold by the piece need the weight of a pack"),
    "price_not_whole": ("换算成每件后不是整分", "The price of a pack is no whole number of fen"),
    "price_per_piece": ("按个计的商品不能按重量计价", "Goods sold by the piece have no price by weight"),
    "tier_incomplete": ("阶梯的数量和单价须一起填", "A tier needs both its quantity and its price"),
    "tiers_disordered": ("阶梯须数量递增、单价递减", "Tiers rise in packs and fall in price"),
    "below_minimum_order": ("小于起订量（{limit}）", "Less than the minimum order, {limit}"),
    "duplicate": ("与第 {limit} 行重复", "The same as row {limit}"),
    "product_differs": ("与第 {limit} 行的同一商品不一致", "Not what row {limit} says of the same product"),
    "unit_differs": ("该商品的其他规格按{limit}计量", "Other listings of this product are measured in {limit}"),
    "pack_fixed": ("已上架的规格内容不能改，请另起规格", "What a listed pack holds is fixed; list another pack"),
    "ambiguous_listing": ("有多个在售商品使用该编码和规格", "Several listings have this code and pack"),
    "no_selling_right": ("当前没有有效的销售资格", "There is no right to sell today"),
    "mandate_expired": ("没有有效的代理委托涵盖该产品", "No mandate in force covers this product"),
    "county_not_admitted": ("该县不在准入名单内", "No list admits sellers of this county today"),
    "origin_not_yours": ("未获准销售该县的产品", "You are not admitted to sell goods of this county"),
    "price_over": (
        "该商品价格已过有效期，请先更新有效期",
        "The prices of this listing hold no more",
    ),
    "changed_meanwhile": ("试算之后该商品已被改动，请重新上传", "This was changed since the trial; upload it again"),
}
"""The words of the errors that only the catalogue can see, in Chinese and English."""
