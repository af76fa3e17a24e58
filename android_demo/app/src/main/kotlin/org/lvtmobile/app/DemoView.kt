package org.lvtmobile.app

import android.content.res.Configuration
import android.graphics.Rect
import android.os.Build
import android.view.Gravity
import android.view.Surface
import android.view.SurfaceHolder
import android.view.SurfaceView
import android.view.View
import android.view.WindowInsets
import android.widget.FrameLayout
import android.widget.ImageButton
import android.widget.LinearLayout
import org.lvtmobile.core.Runtime
import org.lvtmobile.core.Size

/** What the user can do on the main screen, beside the settings. */
interface DemoActions : SettingsActions {
    fun togglePause()

    /** Chooses a photo, or goes back to the camera. */
    fun photoOrCamera()

    fun toggleComparison()

    fun sharePicture()

    fun shareReport()

    fun show(panel: Panel?)

    fun selectSegment(key: Int?)

    fun toggleIsolation()

    fun onNotice(action: NoticeAction)

    /** The surface for the camera's preview; null before it goes away. */
    fun onPreviewSurface(surface: Surface?)
}

/** The main screen: preview and picture, bars on top and at the bottom, and panels. */
class DemoView(context: android.content.Context, runtimes: List<Runtime>, private val actions: DemoActions) {
    private val ui = Ui(context)
    private val preview = SurfaceView(context)

    /** The picture with its overlay. */
    val frameView: FrameView = FrameView(context)

    private val modelName = ui.line()
    private val modelDetails = ui.line(R.dimen.text_small, R.color.text_secondary)
    private val modelPill = pill(modelName, modelDetails).apply {
        setOnClickListener { actions.show(Panel.SETTINGS) }
    }
    private val latencyTotal = ui.line()
    private val latencyRate = ui.line(R.dimen.text_small, R.color.text_secondary)
    private val latencyPill = pill(latencyTotal, latencyRate).apply {
        setOnClickListener { toggle(Panel.DETAILS) }
    }
    private val warning = ui.text(R.dimen.text_small, R.color.on_accent).apply {
        background = ui.rounded(R.color.warning)
        setPadding(ui.margin, ui.gap, ui.margin, ui.gap)
        accessibilityLiveRegion = View.ACCESSIBILITY_LIVE_REGION_POLITE
    }
    private val agreement = ui.text(R.dimen.text_small).apply {
        background = ui.rounded(R.color.surface)
        setPadding(ui.margin, ui.gap, ui.margin, ui.gap)
        textAlignment = View.TEXT_ALIGNMENT_CENTER
    }
    private val photoButton = ui.iconButton(R.drawable.ic_photo, R.string.photo, actions::photoOrCamera)
    private val pauseButton = ui.iconButton(R.drawable.ic_pause, R.string.pause, actions::togglePause).apply {
        background = ui.pressable(ui.rounded(R.color.surface_raised, ui.size(R.dimen.main_button) / 2))
    }
    private val compareButton = ui.iconButton(R.drawable.ic_compare, R.string.compare, actions::toggleComparison)
    private val legendButton = ui.iconButton(R.drawable.ic_legend, R.string.legend) { toggle(Panel.LEGEND) }
    private val shareButton = ui.iconButton(R.drawable.ic_share, R.string.share, actions::sharePicture)
    private val bar = LinearLayout(context).apply {
        gravity = Gravity.CENTER
        background = ui.rounded(R.color.surface)
        isClickable = true
    }
    private val selection = SelectionCard(ui, actions::toggleIsolation) { actions.selectSegment(null) }
    private val notice = NoticeCard(ui, actions::onNotice)
    private val details = DetailsPanel(ui, actions::shareReport) { actions.show(null) }
    private val legend = LegendPanel(ui, { actions.selectSegment(it) }) { actions.show(null) }
    private val settings = SettingsSheet(ui, runtimes, actions) { actions.show(null) }
    private val scrim = View(context).apply {
        setBackgroundColor(ui.colour(R.color.scrim))
        importantForAccessibility = View.IMPORTANT_FOR_ACCESSIBILITY_NO // the panel has a button for it
        setOnClickListener { actions.show(null) }
    }
    private val top = ui.column()
    private val bottom = ui.column()
    private val chrome = FrameLayout(context)
    private val panels = FrameLayout(context)
    private var state = DemoState()
    private var previewSize: Size? = null

    /** The root view. */
    val root: View = FrameLayout(context).apply {
        setBackgroundColor(ui.colour(R.color.background))
        addView(preview, frame(gravity = Gravity.START or Gravity.TOP))
        addView(frameView, frame(height = MATCH))
        addView(chrome, frame(height = MATCH))
        addView(scrim, frame(height = MATCH))
        addView(panels, frame(height = MATCH))
        setOnApplyWindowInsetsListener { _, insets -> insets.also { keepClear(safeArea(it)) } }
    }

    init {
        frameView.onSelect = actions::selectSegment
        frameView.onMove = ::placePreview
        preview.holder.addCallback(PreviewCallback())
        preview.importantForAccessibility = View.IMPORTANT_FOR_ACCESSIBILITY_NO
        for (button in listOf(photoButton, legendButton, pauseButton, compareButton, shareButton)) bar.addView(button)
        val pills = ui.row().apply {
            addView(modelPill, linear(width = 0, weight = 1f))
            addView(latencyPill, linear(width = WRAP).apply { marginStart = ui.gap })
        }
        top.addView(pills)
        top.addView(warning, linear().apply { topMargin = ui.gap })
        arrange(context.resources.configuration)
        top.addOnLayoutChangeListener { _, _, _, _, _, _, _, _, _ -> updateCovered() }
        bar.addOnLayoutChangeListener { _, _, _, _, _, _, _, _, _ -> updateCovered() }
    }

    /** Places bars and panels for the shape of the screen. */
    fun arrange(configuration: Configuration) {
        val wide = configuration.orientation == Configuration.ORIENTATION_LANDSCAPE
        val panelWidth = minOf(ui.size(R.dimen.panel_width), (configuration.screenWidthDp * dp()).toInt() - 2 * ui.margin)
        chrome.removeAllViews()
        bottom.removeAllViews()
        placeBar(wide)
        for (view in listOf(agreement, selection.root)) bottom.addView(view, linear(width = panelWidth).apply { bottomMargin = ui.gap })
        val barSpace = ui.size(R.dimen.main_button) + 2 * ui.gap
        chrome.addView(
            top,
            frame(gravity = Gravity.TOP).apply { if (wide) marginEnd = barSpace },
        )
        chrome.addView(
            bottom,
            frame(width = WRAP, gravity = Gravity.BOTTOM or Gravity.CENTER_HORIZONTAL)
                .apply { if (wide) marginEnd = barSpace else bottomMargin = barSpace },
        )
        chrome.addView(bar, barPlace(wide))
        chrome.addView(notice.root, frame(width = minOf(panelWidth, ui.size(R.dimen.panel_width)), gravity = Gravity.CENTER))
        panels.removeAllViews()
        for (panel in listOf(details.root, legend.root, settings.root)) {
            panels.addView(panel, panelPlace(wide, panelWidth, (configuration.screenHeightDp * dp()).toInt()))
        }
        bind(state)
    }

    private fun dp(): Float = ui.context.resources.displayMetrics.density

    private fun placeBar(wide: Boolean) {
        bar.orientation = if (wide) LinearLayout.VERTICAL else LinearLayout.HORIZONTAL
        for (index in 0 until bar.childCount) {
            val button = bar.getChildAt(index)
            val side = if (button === pauseButton) ui.size(R.dimen.main_button) else ui.touch
            button.layoutParams = linear(side, side).apply {
                val space = ui.gap / 2
                setMargins(if (wide) 0 else space, if (wide) space else 0, if (wide) 0 else space, if (wide) space else 0)
            }
        }
    }

    private fun barPlace(wide: Boolean) =
        frame(WRAP, WRAP, if (wide) Gravity.END or Gravity.CENTER_VERTICAL else Gravity.BOTTOM or Gravity.CENTER_HORIZONTAL)

    /** Beside the picture on a wide screen, else over its lower part. */
    private fun panelPlace(wide: Boolean, width: Int, screenHeight: Int) = if (wide) {
        frame(width, MATCH, Gravity.END)
    } else {
        frame(width, WRAP, Gravity.BOTTOM or Gravity.CENTER_HORIZONTAL)
            .apply { topMargin = (screenHeight * (1 - PANEL_SHARE)).toInt() }
    }

    private fun toggle(panel: Panel) = actions.show(panel.takeIf { state.panel != panel })

    private fun pill(first: View, second: View) = ui.column().apply {
        background = ui.pressable(ui.rounded(R.color.surface, ui.touch / 2))
        setPadding(ui.margin, ui.gap / 2, ui.margin, ui.gap / 2)
        minimumHeight = ui.touch
        gravity = Gravity.CENTER_VERTICAL
        for (line in listOf(first, second)) addView(line, linear(width = WRAP))
        asButton()
    }

    /** Shows a state. */
    fun bind(newState: DemoState) {
        state = newState
        root.keepScreenOn = state.live
        bindTop()
        bindBar()
        bindPicture()
        agreement.shown = state.comparison != null && state.results.size == 2
        if (agreement.shown) agreement.setTextIfChanged(agreementText())
        selection.root.shown = state.selectedSegment != null
        selection.bind(state)
        notice.root.shown = state.notice != null && state.panel == null
        notice.bind(state.notice)
        scrim.shown = state.panel == Panel.SETTINGS
        for ((panel, view) in listOf(Panel.DETAILS to details.root, Panel.LEGEND to legend.root, Panel.SETTINGS to settings.root)) {
            view.shown = state.panel == panel
        }
        bar.shown = state.panel == null
        if (details.root.shown) details.bind(state)
        if (legend.root.shown) legend.bind(state)
        settings.bind(state)
    }

    private fun bindTop() {
        val context = ui.context
        val loading = state.loading
        modelName.setTextIfChanged(
            when {
                loading != null -> context.getString(R.string.models_loading, loading)
                state.models.isEmpty() -> context.getString(R.string.no_model_title)
                else -> state.models.joinToString(" | ") { it.name }
            },
        )
        modelDetails.setTextIfChanged(state.models.joinToString(" | ") { it.runtimeText(context) })
        modelDetails.shown = state.models.isNotEmpty()
        modelPill.contentDescription = "${modelName.text}, ${modelDetails.text}, ${context.getString(R.string.choose_model_hint)}"
        val latencies = state.results.mapNotNull { it.latency }
        latencyPill.shown = latencies.isNotEmpty()
        latencyTotal.setTextIfChanged(latencies.joinToString(" | ") { context.milliseconds(it.total.median) })
        val rate = latencies.firstOrNull()?.fps?.takeIf { !state.photo }
        latencyRate.shown = rate != null
        latencyRate.setTextIfChanged(rate?.let { context.getString(R.string.fps, it) }.orEmpty())
        latencyPill.contentDescription = "${latencyTotal.text}, ${latencyRate.text}, ${context.getString(R.string.details_hint)}"
        val warnings = state.models.mapNotNull { it.fallbackText(context) }
        warning.shown = warnings.isNotEmpty() && state.panel == null
        warning.setTextIfChanged(warnings.joinToString("\n"))
    }

    private fun bindBar() {
        photoButton.bind(state.photo, R.drawable.ic_camera, R.string.camera, R.drawable.ic_photo, R.string.photo)
        pauseButton.bind(state.paused, R.drawable.ic_play, R.string.resume, R.drawable.ic_pause, R.string.pause)
        pauseButton.shown = !state.photo
        val comparing = state.comparison != null
        compareButton.bind(comparing, R.drawable.ic_close, R.string.compare_end, R.drawable.ic_compare, R.string.compare)
    }

    private fun ImageButton.bind(on: Boolean, iconOn: Int, textOn: Int, iconOff: Int, textOff: Int) =
        if (on) setIcon(iconOn, textOn) else setIcon(iconOff, textOff)

    private fun bindPicture() {
        frameView.options = state.display
        frameView.selection = OverlayStyle(state.selected, state.isolate)
        val base = if (state.photo) Zoom.Base.FIT else Zoom.Base.FILL
        if (frameView.zoom.base != base) frameView.zoom = Zoom(base = base)
        frameView.contentDescription = describe()
        val size = state.previewSize
        if (size != null && size != previewSize) preview.holder.setFixedSize(size.width, size.height)
        previewSize = size
        val behind = size != null && state.live
        preview.shown = size != null
        frameView.isPictureBehind = behind
    }

    private fun describe(): String {
        val context = ui.context
        val source = context.getString(if (state.photo) R.string.picture_photo else R.string.picture_live)
        val result = state.results.firstOrNull() ?: return source
        val found = result.classes.map { it.title(context) } + result.segments.map { it.title(context) }
        return context.getString(
            R.string.picture_description, source, found.joinToString().ifEmpty { context.getString(R.string.nothing_found) },
        )
    }

    private fun agreementText(): String {
        val context = ui.context
        val value = state.agreement ?: return context.getString(R.string.agreement_none)
        val share = agreementPercent(value.share)
        return when {
            value.objects != null ->
                context.getString(R.string.agreement_objects, share, value.objects, value.objectsOfFirst, value.objectsOfSecond)
            state.results.first().classes.isNotEmpty() ->
                context.getString(if (value.share == 1.0) R.string.agreement_class else R.string.agreement_class_other)
            else -> context.getString(R.string.agreement, share)
        }
    }

    /** Puts the preview exactly where the picture is. */
    private fun placePreview() {
        val rect = frameView.pictureRect() ?: return
        val place = frame(rect.width.toInt(), rect.height.toInt(), Gravity.START or Gravity.TOP)
        place.leftMargin = rect.left.toInt()
        place.topMargin = rect.top.toInt()
        place.gravity = Gravity.LEFT or Gravity.TOP // places of pixels do not depend on the direction of the text
        preview.layoutParams = place
    }

    private fun keepClear(area: Rect) {
        for (layer in listOf(chrome, panels)) {
            layer.setPadding(area.left + ui.gap, area.top + ui.gap, area.right + ui.gap, area.bottom + ui.gap)
        }
    }

    /** Labels of the picture stay clear of the bars. */
    private fun updateCovered() {
        val wide = bar.orientation == LinearLayout.VERTICAL
        val space = if (bar.shown) (if (wide) bar.width else bar.height) + ui.gap else 0
        val isRtl = root.layoutDirection == View.LAYOUT_DIRECTION_RTL
        val padding = if (isRtl) chrome.paddingLeft else chrome.paddingRight
        val side = if (wide) (padding + space).toFloat() else 0f
        frameView.covered = Covered(
            left = if (isRtl) side else 0f,
            top = top.bottom.toFloat(),
            right = if (isRtl) 0f else side,
            bottom = (chrome.paddingBottom + if (wide) 0 else space).toFloat(),
        )
    }

    @Suppress("DEPRECATION") // for Android 10 and older
    private fun safeArea(insets: WindowInsets): Rect {
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.R) {
            val safe = insets.getInsets(WindowInsets.Type.systemBars() or WindowInsets.Type.displayCutout())
            return Rect(safe.left, safe.top, safe.right, safe.bottom)
        }
        val area = with(insets) {
            Rect(systemWindowInsetLeft, systemWindowInsetTop, systemWindowInsetRight, systemWindowInsetBottom)
        }
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.P) return area
        val cutout = insets.displayCutout ?: return area
        return with(cutout) {
            Rect(
                maxOf(area.left, safeInsetLeft),
                maxOf(area.top, safeInsetTop),
                maxOf(area.right, safeInsetRight),
                maxOf(area.bottom, safeInsetBottom),
            )
        }
    }

    private inner class PreviewCallback : SurfaceHolder.Callback {
        override fun surfaceCreated(holder: SurfaceHolder) = Unit

        /** The surface has the size of the preview now; before that, the camera would refuse it. */
        override fun surfaceChanged(holder: SurfaceHolder, format: Int, width: Int, height: Int) {
            if (previewSize == Size(height, width)) actions.onPreviewSurface(holder.surface)
        }

        override fun surfaceDestroyed(holder: SurfaceHolder) = actions.onPreviewSurface(null)
    }

    private companion object {
        const val PANEL_SHARE = 0.55f
    }
}
