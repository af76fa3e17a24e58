package org.lvtmobile.app

import android.content.Context
import org.lvtmobile.core.Agreement
import org.lvtmobile.core.Size

/** A text in the language of the user: a string resource and its arguments. */
data class Phrase(val id: Int, val arguments: List<Any> = emptyList()) {
    constructor(id: Int, vararg arguments: Any) : this(id, arguments.toList())

    /** The text. */
    @Suppress("SpreadOperator") // the arguments of a format
    fun resolve(context: Context): String = context.getString(id, *arguments.toTypedArray())
}

/** What the user can do about a [Notice]. */
enum class NoticeAction(val label: Int) {
    RETRY_CAMERA(R.string.action_retry),
    ALLOW_CAMERA(R.string.action_allow_camera),
    OPEN_SETTINGS(R.string.action_open_settings),
    CHOOSE_MODEL(R.string.action_choose_model),
    SEARCH_MODELS(R.string.action_search_again),
    CHOOSE_PHOTO(R.string.action_choose_photo),
    DISMISS(R.string.action_continue),
}

/** A message in the middle of the screen. */
data class Notice(val text: Phrase, val action: NoticeAction)

/** A part of the screen that can be opened; one at a time. */
enum class Panel { DETAILS, LEGEND, SETTINGS }

/**
 * Options of the picture.
 *
 * @property opacity of the overlay, 0 to 1. Labels are hidden at 0.
 */
data class DisplayOptions(val opacity: Float = 1f, val labels: Boolean = true)

/** What one model computed for the last picture. */
data class ModelResult(
    val segments: List<SegmentInfo>,
    val classes: List<NamedScore>,
    val latency: LatencyReport?,
)

/**
 * Everything that the screen shows, except the pixels.
 *
 * @property entries the models that can be chosen; null before they were listed.
 * @property comparison how to run the second model; null without comparison.
 * @property loading name of the model that loads; null if none does.
 * @property models the loaded models: none, one, or two to compare.
 * @property photo whether a photo is shown instead of the camera.
 * @property results one for each model, or none before the first picture.
 * @property selected key of the selected segment.
 * @property thermalStatus Android's level of throttling because of heat, 0 (none) to 6; null: not reported.
 * @property previewSize the camera draws its own preview of this size; null: its frames are shown.
 */
data class DemoState(
    val entries: List<ModelEntry>? = null,
    val settings: RunSettings = RunSettings(),
    val comparison: RunSettings? = null,
    val display: DisplayOptions = DisplayOptions(),
    val loading: String? = null,
    val models: List<ModelInfo> = emptyList(),
    val photo: Boolean = false,
    val paused: Boolean = false,
    val results: List<ModelResult> = emptyList(),
    val agreement: Agreement? = null,
    val selected: Int? = null,
    val isolate: Boolean = false,
    val panel: Panel? = null,
    val notice: Notice? = null,
    val thermalStatus: Int? = null,
    val previewSize: Size? = null,
    val visible: Boolean = false,
) {
    /** Whether the camera should run. */
    val live: Boolean get() = visible && models.isNotEmpty() && !photo && !paused

    /** The selected segment, if it is in the last picture. */
    val selectedSegment: SegmentInfo?
        get() = results.firstOrNull()?.segments?.find { it.key == selected }
}
