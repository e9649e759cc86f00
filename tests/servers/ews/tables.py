"""The element tables of EWS requests (messages.xsd, types.xsd as documented): children in order, attributes, namespace.

A table is {element: (attributes, [(child, least, most), …])}; "|" separates alternatives of a choice. Elements without a
row hold text only. `check` names the first violation, as Exchange does in ErrorSchemaValidation.
"""

from __future__ import annotations

from lxml import etree

M = "http://schemas.microsoft.com/exchange/services/2006/messages"
T = "http://schemas.microsoft.com/exchange/services/2006/types"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
PREFIX = {M: "m", T: "t", SOAP: "s"}
MANY = 100_000

IDS = "t:FolderId|t:DistinguishedFolderId"
PATH = "t:FieldURI|t:IndexedFieldURI|t:ExtendedFieldURI"
SEARCH = (
    "t:And|t:Or|t:Not|t:Contains|t:Exists|t:IsEqualTo|t:IsNotEqualTo|t:IsGreaterThan|t:IsGreaterThanOrEqualTo"
    "|t:IsLessThan|t:IsLessThanOrEqualTo"
)
COMPARE = ((), [(PATH, 1, 1), ("t:FieldURIOrConstant", 1, 1)])
ITEM = [
    "MimeContent", "ItemId", "ParentFolderId", "ItemClass", "Subject", "Sensitivity", "Body", "Attachments",
    "DateTimeReceived", "Size", "Categories", "Importance", "InReplyTo", "IsSubmitted", "IsDraft", "IsFromMe",
    "IsResend", "IsUnmodified", "InternetMessageHeaders", "DateTimeSent", "DateTimeCreated", "ResponseObjects",
    "ReminderDueBy", "ReminderIsSet", "ReminderNextTime", "ReminderMinutesBeforeStart", "DisplayCc", "DisplayTo",
    "DisplayBcc", "HasAttachments", "ExtendedProperty", "Culture", "EffectiveRights", "LastModifiedName",
    "LastModifiedTime", "IsAssociated", "WebClientReadFormQueryString", "WebClientEditFormQueryString",
    "ConversationId", "UniqueBody", "Flag", "StoreEntryId", "InstanceKey", "NormalizedBody", "EntityExtractionResult",
    "PolicyTag", "ArchiveTag", "RetentionDate", "Preview", "RightsManagementLicenseData", "NextPredictedAction",
    "GroupingAction", "BlockStatus", "HasBlockedImages", "TextBody", "IconIndex",
]  # fmt: skip
MESSAGE = [
    "Sender", "ToRecipients", "CcRecipients", "BccRecipients", "IsReadReceiptRequested", "IsDeliveryReceiptRequested",
    "ConversationIndex", "ConversationTopic", "From", "InternetMessageId", "IsRead", "IsResponseRequested",
    "References", "ReplyTo", "ReceivedBy", "ReceivedRepresenting", "ApprovalRequestData", "VotingInformation",
    "ReminderMessageData",
]  # fmt: skip
FULL_ITEM = [(f"t:{name}", 0, MANY if name == "ExtendedProperty" else 1) for name in ITEM + MESSAGE]
PEOPLE = ((), [("t:Mailbox", 0, MANY)])
SHAPE = ((), [
    ("t:BaseShape", 1, 1), ("t:IncludeMimeContent", 0, 1), ("t:BodyType", 0, 1), ("t:UniqueBodyType", 0, 1),
    ("t:NormalizedBodyType", 0, 1), ("t:FilterHtmlContent", 0, 1), ("t:ConvertHtmlCodePageToUTF8", 0, 1),
    ("t:InlineImageUrlTemplate", 0, 1), ("t:BlockExternalImages", 0, 1), ("t:AddBlankTargetToLinks", 0, 1),
    ("t:MaximumBodySize", 0, 1), ("t:AdditionalProperties", 0, 1),
])  # fmt: skip
VIEW = (("MaxEntriesReturned", "Offset", "BasePoint"), [])
SUBSCRIPTION = [("t:FolderIds", 0, 1), ("t:EventTypes", 1, 1)]

TABLES: dict[str, tuple[tuple[str, ...], list[tuple[str, int, int]]]] = {
    "m:GetFolder": ((), [("m:FolderShape", 1, 1), ("m:FolderIds", 1, 1)]),
    "m:FindFolder": (("Traversal",), [
        ("m:FolderShape", 1, 1), ("m:IndexedPageFolderView|m:FractionalPageFolderView", 0, 1), ("m:Restriction", 0, 1),
        ("m:ParentFolderIds", 1, 1),
    ]),
    "m:SyncFolderHierarchy": ((), [("m:FolderShape", 1, 1), ("m:SyncFolderId", 0, 1), ("m:SyncState", 0, 1)]),
    "m:SyncFolderItems": ((), [
        ("m:ItemShape", 1, 1), ("m:SyncFolderId", 1, 1), ("m:SyncState", 0, 1), ("m:Ignore", 0, 1),
        ("m:MaxChangesReturned", 1, 1), ("m:SyncScope", 0, 1),
    ]),
    "m:FindItem": (("Traversal",), [
        ("m:ItemShape", 1, 1), ("m:IndexedPageItemView|m:FractionalPageItemView|m:CalendarView|m:ContactsView", 0, 1),
        ("m:GroupBy|m:DistinguishedGroupBy", 0, 1), ("m:Restriction", 0, 1), ("m:SortOrder", 0, 1),
        ("m:ParentFolderIds", 1, 1), ("m:QueryString", 0, 1),
    ]),
    "m:GetItem": ((), [("m:ItemShape", 1, 1), ("m:ItemIds", 1, 1)]),
    "m:CreateItem": (("MessageDisposition", "SendMeetingInvitations"), [
        ("m:SavedItemFolderId", 0, 1), ("m:Items", 1, 1),
    ]),
    "m:UpdateItem": (("ConflictResolution", "MessageDisposition", "SendMeetingInvitationsOrCancellations",
                      "SuppressReadReceipts"), [("m:SavedItemFolderId", 0, 1), ("m:ItemChanges", 1, 1)]),
    "m:MoveItem": ((), [("m:ToFolderId", 1, 1), ("m:ItemIds", 1, 1), ("m:ReturnNewItemIds", 0, 1)]),
    "m:DeleteItem": (("DeleteType", "SendMeetingCancellations", "AffectedTaskOccurrences", "SuppressReadReceipts"), [
        ("m:ItemIds", 1, 1),
    ]),
    "m:SendItem": (("SaveItemToFolder",), [("m:ItemIds", 1, 1), ("m:SavedItemFolderId", 0, 1)]),
    "m:GetAttachment": ((), [("m:AttachmentShape", 0, 1), ("m:AttachmentIds", 1, 1)]),
    "m:CreateAttachment": ((), [("m:ParentItemId", 1, 1), ("m:Attachments", 1, 1)]),
    "m:Subscribe": ((), [("m:PullSubscriptionRequest|m:PushSubscriptionRequest|m:StreamingSubscriptionRequest", 1, 1)]),
    "m:Unsubscribe": ((), [("m:SubscriptionId", 1, 1)]),
    "m:GetEvents": ((), [("m:SubscriptionId", 1, 1), ("m:Watermark", 1, 1)]),
    "m:GetStreamingEvents": ((), [("m:SubscriptionIds", 1, 1), ("m:ConnectionTimeout", 1, 1)]),
    "m:ResolveNames": (("ReturnFullContactData", "SearchScope", "ContactDataShape"), [
        ("m:ParentFolderIds", 0, 1), ("m:UnresolvedEntry", 1, 1),
    ]),
    "m:ConvertId": (("DestinationFormat",), [("m:SourceIds", 1, 1)]),
    "m:GetServerTimeZones": (("ReturnFullTimeZoneData",), [("m:Ids", 0, 1)]),
    "m:FolderShape": SHAPE, "m:ItemShape": SHAPE,
    "m:AttachmentShape": ((), [
        ("t:IncludeMimeContent", 0, 1), ("t:BodyType", 0, 1), ("t:FilterHtmlContent", 0, 1),
        ("t:AdditionalProperties", 0, 1),
    ]),
    "t:AdditionalProperties": ((), [(f"{PATH}", 1, MANY)]),
    "t:FieldURI": (("FieldURI",), []),
    "t:IndexedFieldURI": (("FieldURI", "FieldIndex"), []),
    "t:ExtendedFieldURI": (("DistinguishedPropertySetId", "PropertySetId", "PropertyTag", "PropertyName", "PropertyId",
                            "PropertyType"), []),
    "m:FolderIds": ((), [(IDS, 1, MANY)]), "m:ParentFolderIds": ((), [(IDS, 1, MANY)]),
    "t:FolderIds": ((), [(IDS, 1, MANY)]), "m:SyncFolderId": ((), [(IDS, 1, 1)]), "m:ToFolderId": ((), [(IDS, 1, 1)]),
    "m:SavedItemFolderId": ((), [(IDS, 1, 1)]),
    "t:FolderId": (("Id", "ChangeKey"), []),
    "t:DistinguishedFolderId": (("Id", "ChangeKey"), [("t:Mailbox", 0, 1)]),
    "t:Mailbox": ((), [("t:Name", 0, 1), ("t:EmailAddress", 0, 1), ("t:RoutingType", 0, 1), ("t:MailboxType", 0, 1),
                       ("t:ItemId", 0, 1)]),
    "m:ItemIds": ((), [("t:ItemId|t:OccurrenceItemId|t:RecurringMasterItemId", 1, MANY)]),
    "m:Ignore": ((), [("t:ItemId", 1, MANY)]),
    "t:ItemId": (("Id", "ChangeKey"), []), "m:ParentItemId": (("Id", "ChangeKey"), []),
    "m:IndexedPageItemView": VIEW, "m:IndexedPageFolderView": VIEW,
    "m:FractionalPageItemView": (("MaxEntriesReturned", "Numerator", "Denominator"), []),
    "m:Restriction": ((), [(SEARCH, 1, 1)]),
    "t:And": ((), [(SEARCH, 2, MANY)]), "t:Or": ((), [(SEARCH, 2, MANY)]), "t:Not": ((), [(SEARCH, 1, 1)]),
    "t:Contains": (("ContainmentMode", "ContainmentComparison"), [(PATH, 1, 1), ("t:Constant", 1, 1)]),
    "t:Exists": ((), [(PATH, 1, 1)]),
    "t:IsEqualTo": COMPARE, "t:IsNotEqualTo": COMPARE, "t:IsGreaterThan": COMPARE, "t:IsGreaterThanOrEqualTo": COMPARE,
    "t:IsLessThan": COMPARE, "t:IsLessThanOrEqualTo": COMPARE,
    "t:FieldURIOrConstant": ((), [(f"{PATH}|t:Constant", 1, 1)]), "t:Constant": (("Value",), []),
    "m:SortOrder": ((), [("t:FieldOrder", 1, MANY)]),
    "t:FieldOrder": (("Order",), [(PATH, 1, 1)]),
    "m:Items": ((), [("t:Item|t:Message|t:CalendarItem|t:Contact|t:Task", 1, MANY)]),
    "t:Message": ((), FULL_ITEM), "t:Item": ((), FULL_ITEM[: len(ITEM)]),
    "t:MimeContent": (("CharacterSet",), []),
    "t:Body": (("BodyType", "IsTruncated"), []),
    "t:ExtendedProperty": ((), [("t:ExtendedFieldURI", 1, 1), ("t:Value|t:Values", 1, 1)]),
    "t:Flag": ((), [("t:FlagStatus", 1, 1), ("t:StartDate", 0, 1), ("t:DueDate", 0, 1), ("t:CompleteDate", 0, 1)]),
    "t:ToRecipients": PEOPLE, "t:CcRecipients": PEOPLE, "t:BccRecipients": PEOPLE, "t:ReplyTo": PEOPLE,
    "t:From": ((), [("t:Mailbox", 1, 1)]), "t:Sender": ((), [("t:Mailbox", 1, 1)]),
    "t:Categories": ((), [("t:String", 0, MANY)]),
    "m:ItemChanges": ((), [("t:ItemChange", 1, MANY)]),
    "t:ItemChange": ((), [("t:ItemId", 1, 1), ("t:Updates", 1, 1)]),
    "t:Updates": ((), [("t:AppendToItemField|t:SetItemField|t:DeleteItemField", 1, MANY)]),
    "t:SetItemField": ((), [(PATH, 1, 1), ("t:Item|t:Message", 1, 1)]),
    "t:DeleteItemField": ((), [(PATH, 1, 1)]),
    "m:AttachmentIds": ((), [("t:AttachmentId", 1, MANY)]), "t:AttachmentId": (("Id",), []),
    "m:Attachments": ((), [("t:FileAttachment|t:ItemAttachment", 1, MANY)]),
    "t:FileAttachment": ((), [
        ("t:AttachmentId", 0, 1), ("t:Name", 0, 1), ("t:ContentType", 0, 1), ("t:ContentId", 0, 1),
        ("t:ContentLocation", 0, 1), ("t:Size", 0, 1), ("t:LastModifiedTime", 0, 1), ("t:IsInline", 0, 1),
        ("t:IsContactPhoto", 0, 1), ("t:Content", 0, 1),
    ]),
    "m:PullSubscriptionRequest": (("SubscribeToAllFolders",), [
        *SUBSCRIPTION, ("t:Watermark", 0, 1), ("t:Timeout", 1, 1),
    ]),
    "m:StreamingSubscriptionRequest": (("SubscribeToAllFolders",), SUBSCRIPTION),
    "t:EventTypes": ((), [("t:EventType", 1, MANY)]),
    "m:SubscriptionIds": ((), [("t:SubscriptionId", 1, MANY)]),
    "m:SourceIds": ((), [("t:AlternateId", 1, MANY)]), "t:AlternateId": (("Format", "Id", "Mailbox", "IsArchive"), []),
    "m:Ids": ((), [("t:Id", 0, MANY)]),
    "s:Header": ((), [
        ("t:RequestServerVersion", 0, 1), ("t:MailboxCulture", 0, 1), ("t:ExchangeImpersonation", 0, 1),
        ("t:TimeZoneContext", 0, 1),
    ]),
    "t:RequestServerVersion": (("Version",), []),
    "t:ExchangeImpersonation": ((), [("t:ConnectingSID", 1, 1)]),
    "t:ConnectingSID": ((), [("t:PrincipalName|t:SID|t:PrimarySmtpAddress|t:SmtpAddress", 1, 1)]),
    "t:TimeZoneContext": ((), [("t:TimeZoneDefinition", 1, 1)]),
    "t:TimeZoneDefinition": (("Id", "Name"), []),
}  # fmt: skip
NEEDED = {
    "t:FieldURI": ["FieldURI"], "t:ItemId": ["Id"], "t:FolderId": ["Id"], "t:DistinguishedFolderId": ["Id"],
    "m:FindItem": ["Traversal"], "m:FindFolder": ["Traversal"], "m:UpdateItem": ["ConflictResolution"],
    "m:DeleteItem": ["DeleteType"], "m:SendItem": ["SaveItemToFolder"], "t:FieldOrder": ["Order"],
    "t:ExtendedFieldURI": ["PropertyType"], "t:Constant": ["Value"], "t:RequestServerVersion": ["Version"],
    "m:IndexedPageItemView": ["Offset", "BasePoint"], "m:IndexedPageFolderView": ["Offset", "BasePoint"],
}  # fmt: skip
CHOICES = {
    ("m:FindItem", "Traversal"): {"Shallow", "SoftDeleted", "Associated"},
    ("m:FindFolder", "Traversal"): {"Shallow", "Deep", "SoftDeleted"},
    ("m:DeleteItem", "DeleteType"): {"HardDelete", "SoftDelete", "MoveToDeletedItems"},
    ("m:CreateItem", "MessageDisposition"): {"SaveOnly", "SendOnly", "SendAndSaveCopy"},
    ("m:UpdateItem", "MessageDisposition"): {"SaveOnly", "SendOnly", "SendAndSaveCopy"},
    ("m:UpdateItem", "ConflictResolution"): {"NeverOverwrite", "AutoResolve", "AlwaysOverwrite"},
    ("m:SendItem", "SaveItemToFolder"): {"true", "false", "1", "0"},
    ("t:FieldOrder", "Order"): {"Ascending", "Descending"},
    ("t:Contains", "ContainmentMode"): {"FullString", "Prefixed", "Substring", "PrefixOnWords", "ExactPhrase"},
    ("t:RequestServerVersion", "Version"): {
        "Exchange2007", "Exchange2007_SP1", "Exchange2010", "Exchange2010_SP1", "Exchange2010_SP2", "Exchange2013",
        "Exchange2013_SP1", "Exchange2015", "Exchange2015_SP1", "Exchange2016",
    },
}  # fmt: skip
TEXTS = {
    "t:BaseShape": {"IdOnly", "Default", "AllProperties"},
    "t:BodyType": {"Best", "HTML", "Text"},
    "t:IncludeMimeContent": {"true", "false", "1", "0"},
    "t:IsRead": {"true", "false", "1", "0"},
    "m:ReturnNewItemIds": {"true", "false", "1", "0"},
    "m:SyncScope": {"NormalItems", "NormalAndAssociatedItems"},
    "t:FlagStatus": {"NotFlagged", "Flagged", "Complete"},
}


class Violation(Exception):
    """What the schema does not allow."""


def name_of(element: etree._Element) -> str:
    """ "t:ItemId" for an element."""
    tag = etree.QName(element)
    return f"{PREFIX.get(tag.namespace or '', '?')}:{tag.localname}"


def check(element: etree._Element) -> None:
    """Raise Violation for the first thing that the tables do not allow."""
    name = name_of(element)
    attributes, children = TABLES.get(name, ((), []))
    for attribute in element.attrib:
        if attribute not in attributes:
            raise Violation(f"The '{attribute}' attribute is not declared on {name}.")
        allowed = CHOICES.get((name, attribute))
        if allowed and element.get(attribute) not in allowed:
            raise Violation(f"The '{attribute}' attribute of {name} is invalid: {element.get(attribute)!r}.")
    for attribute in NEEDED.get(name, []):
        if element.get(attribute) is None:
            raise Violation(f"The required attribute '{attribute}' of {name} is missing.")
    found = [child for child in element if isinstance(child.tag, str)]
    if name not in TABLES:
        if found:
            raise Violation(f"The element {name} cannot contain child element {name_of(found[0])}.")
        if name in TEXTS and (element.text or "") not in TEXTS[name]:
            raise Violation(f"The {name} element is invalid: {element.text!r}.")
        return
    _sequence(name, [name_of(child) for child in found], children)
    for child in found:
        check(child)


def _sequence(name: str, given: list[str], rows: list[tuple[str, int, int]]) -> None:
    place = 0
    for choice, least, most in rows:
        count = 0
        while place < len(given) and given[place] in choice.split("|") and count < most:
            place, count = place + 1, count + 1
        if count < least:
            got = given[place] if place < len(given) else "nothing"
            raise Violation(f"The element {name} has invalid child element {got}. Expected: {choice}.")
    if place < len(given):
        raise Violation(f"The element {name} has invalid child element {given[place]}.")
