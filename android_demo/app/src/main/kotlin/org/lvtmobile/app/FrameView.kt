package org.lvtmobile.app

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Paint
import android.graphics.RectF
import android.os.Bundle
import android.view.GestureDetector
import android.view.MotionEvent
import android.view.ScaleGestureDetector
import android.view.View
import android.view.accessibility.AccessibilityNodeInfo
import org.lvtmobile.core.Size
import kotlin.math.abs

/**
 * Shows overlays, and the picture below them unless a preview surface behind this view shows it. Two overlays share
 * the view at a divider. Tap a segment to select it, pinch to zoom, drag to move, double-tap to zoom in or out.
 *
 * [showFrame], [showResult] and [clear] can be called on any thread.
 */
class FrameView(context: Context) : View(context) {
    private val density = resources.displayMetrics.density
    private val lock = Any()
    private val pictureBuffer = DoubleBuffer()
    private val layers = listOf(OverlayLayer(context), OverlayLayer(context))
    private var pictureSize: Size? = null
    private val target = RectF()
    private val picturePaint = Paint(Paint.FILTER_BITMAP_FLAG)
    private val dividerPaint = Paint(Paint.ANTI_ALIAS_FLAG).apply { color = Color.WHITE }
    private val scaleDetector = ScaleGestureDetector(context, ScaleListener())
    private val gestureDetector = GestureDetector(context, DragListener())
    private var draggingDivider = false

    /** Called with the key of a tapped segment of the first model; null beside all segments. */
    var onSelect: (Int?) -> Unit = {}

    /** Called when the place of the picture changes. */
    var onMove: () -> Unit = {}

    /** Zoom of the view. [snapshot] ignores it. */
    var zoom: Zoom = Zoom()
        set(value) {
            field = value
            onMove()
            invalidate()
        }

    /** The selected segment. A screen reader steps on from it, and an isolated one has the only label. */
    var selection: OverlayStyle = OverlayStyle()
        set(value) {
            field = value
            invalidate()
        }

    var options: DisplayOptions = DisplayOptions()
        set(value) {
            field = value
            invalidate()
        }

    /** What bars on top of this view cover; labels stay clear of them. */
    var covered: Covered = Covered()
        set(value) {
            field = value
            invalidate()
        }

    /** Whether the picture is drawn by a preview surface behind this view. */
    @Volatile var isPictureBehind: Boolean = false
        set(value) {
            field = value
            invalidate()
        }

    /** Place of the divider between two overlays, as a share of the width. */
    var divider: Float = 0.5f
        set(value) {
            field = value.coerceIn(0f, 1f)
            invalidate()
        }

    init {
        isFocusable = true
    }

    /** Shows a frame. An overlay stays visible if it has the same size. */
    fun showFrame(frame: Frame) {
        val changed = synchronized(lock) {
            if (!isPictureBehind) pictureBuffer.write(frame.size, frame.argb)
            (pictureSize != frame.size).also { pictureSize = frame.size }
        }
        if (changed) post { onMove() }
        postInvalidate()
    }

    /**
     * Shows the overlays of a result: one, or two at the divider. Without its frame, a result of another size is left
     * out: the device rotated during the inference.
     */
    fun showResult(result: FrameResult, withFrame: Boolean) {
        synchronized(lock) {
            if (!withFrame && pictureSize != result.frame.size) return
            if (withFrame || isPictureBehind) pictureBuffer.write(result.frame.size, result.frame.argb)
            pictureSize = result.frame.size
            layers.forEachIndexed { index, layer -> layer.show(result.overlays.getOrNull(index)) }
        }
        postInvalidate()
    }

    /** Removes picture and overlays. */
    fun clear() {
        synchronized(lock) {
            pictureBuffer.clear()
            layers.forEach { it.show(null) }
        }
        postInvalidate()
    }

    /** Where the picture is in this view; null before the first frame. */
    fun pictureRect(): PictureRect? {
        val picture = synchronized(lock) { pictureSize }
        return if (picture == null || width == 0 || height == 0) null else zoom.pictureRect(picture, Size(height, width))
    }

    /** Draws the picture of the last result with its overlays to a bitmap, without the view's borders; null if there is no picture. */
    fun snapshot(): Bitmap? = synchronized(lock) {
        val picture = pictureBuffer.front ?: return null
        val scale = (SNAPSHOT_SIDE / maxOf(picture.width, picture.height)).coerceAtLeast(1f)
        val size = Size((scale * picture.height).toInt(), (scale * picture.width).toInt())
        val bitmap = Bitmap.createBitmap(size.width, size.height, Bitmap.Config.ARGB_8888)
        val rect = Zoom().pictureRect(Size(picture.height, picture.width), size)
        drawContent(Canvas(bitmap), rect, size, SNAPSHOT_TEXT_SIZE, withPicture = true)
        bitmap
    }

    override fun onSizeChanged(w: Int, h: Int, oldw: Int, oldh: Int) = onMove()

    override fun onDraw(canvas: Canvas) {
        if (!isPictureBehind) canvas.drawColor(context.getColor(R.color.background)) // hides an old preview
        val rect = pictureRect()?.copy(covered = covered) ?: return
        val textSize = resources.getDimension(R.dimen.label_text)
        synchronized(lock) { drawContent(canvas, rect, Size(height, width), textSize, withPicture = !isPictureBehind) }
    }

    private fun drawContent(canvas: Canvas, rect: PictureRect, view: Size, textSize: Float, withPicture: Boolean) {
        val size = pictureSize ?: return
        target.set(rect.left, rect.top, rect.left + rect.width, rect.top + rect.height)
        if (withPicture) pictureBuffer.front?.let { canvas.drawBitmap(it, null, target, picturePaint) }
        val shown = layers.filter { it.isVisible(size) }
        val split = divider * view.width
        for (layer in shown) {
            canvas.save()
            if (shown.size == 2) {
                val first = layer === shown.first()
                canvas.clipRect(if (first) 0f else split, 0f, if (first) split else view.width.toFloat(), view.height.toFloat())
            }
            layer.draw(canvas, target, rect, options, textSize, selection)
            canvas.restore()
        }
        if (shown.size == 2) drawDivider(canvas, split, view.height.toFloat())
    }

    private fun drawDivider(canvas: Canvas, x: Float, height: Float) {
        canvas.drawRect(x - density, 0f, x + density, height, dividerPaint)
        val (halfWidth, halfHeight) = 6 * density to 22 * density
        canvas.drawRoundRect(
            x - halfWidth, height / 2 - halfHeight, x + halfWidth, height / 2 + halfHeight, halfWidth, halfWidth, dividerPaint,
        )
    }

    // Touch.

    override fun onTouchEvent(event: MotionEvent): Boolean {
        if (dragDivider(event)) return true
        scaleDetector.onTouchEvent(event)
        gestureDetector.onTouchEvent(event)
        return true
    }

    private fun dragDivider(event: MotionEvent): Boolean {
        if (event.actionMasked == MotionEvent.ACTION_DOWN) {
            val near = abs(event.x - divider * width) < TOUCH_RADIUS_DP * density
            draggingDivider = near && synchronized(lock) { layers.all { it.hasOverlay } }
        }
        if (draggingDivider) divider = event.x / width
        return draggingDivider
    }

    private fun updateZoom(change: Zoom.(Size, Size) -> Zoom): Boolean {
        val picture = synchronized(lock) { pictureSize } ?: return false
        zoom = zoom.change(picture, Size(height, width))
        return true
    }

    private inner class ScaleListener : ScaleGestureDetector.SimpleOnScaleGestureListener() {
        override fun onScale(detector: ScaleGestureDetector): Boolean = updateZoom { picture, view ->
            scaledBy(detector.scaleFactor, detector.focusX, detector.focusY, picture, view)
        }
    }

    private inner class DragListener : GestureDetector.SimpleOnGestureListener() {
        override fun onDown(event: MotionEvent): Boolean = true

        override fun onScroll(from: MotionEvent?, to: MotionEvent, dx: Float, dy: Float): Boolean =
            updateZoom { picture, view -> movedBy(-dx, -dy, picture, view) }

        override fun onDoubleTap(event: MotionEvent): Boolean = updateZoom { picture, view ->
            if (factor != 1f) reset() else scaledBy(DOUBLE_TAP_FACTOR, event.x, event.y, picture, view)
        }

        override fun onSingleTapConfirmed(event: MotionEvent): Boolean {
            onSelect(segmentAt(event.x, event.y)?.key)
            return true
        }
    }

    private fun segmentAt(x: Float, y: Float): SegmentInfo? {
        val rect = pictureRect() ?: return null
        val column = ((x - rect.left) / rect.scale).toInt()
        val row = ((y - rect.top) / rect.scale).toInt()
        return synchronized(lock) { layers.first().segmentAt(column, row) }
    }

    // Accessibility: a screen reader cannot tap a segment, so it steps through them.

    /** Selects the next segment. */
    override fun performClick(): Boolean {
        super.performClick()
        return step(1)
    }

    private fun step(direction: Int): Boolean {
        val keys = synchronized(lock) { layers.first().segments.map { it.key } }
        if (keys.isEmpty()) return false
        val current = keys.indexOf(selection.selected)
        val next = if (current < 0) (if (direction > 0) 0 else keys.size - 1) else current + direction
        onSelect(keys.getOrNull(next))
        return true
    }


    override fun onInitializeAccessibilityNodeInfo(info: AccessibilityNodeInfo) {
        super.onInitializeAccessibilityNodeInfo(info)
        info.className = View::class.java.name
        info.addAction(action(AccessibilityNodeInfo.ACTION_CLICK, R.string.select_next))
        info.addAction(action(R.id.select_previous, R.string.select_previous))
        info.addAction(action(R.id.select_none, R.string.select_none))
        info.addAction(action(R.id.zoom_in, R.string.zoom_in))
        info.addAction(action(R.id.zoom_out, R.string.zoom_out))
    }

    private fun action(id: Int, label: Int) = AccessibilityNodeInfo.AccessibilityAction(id, resources.getString(label))

    override fun performAccessibilityAction(action: Int, arguments: Bundle?): Boolean = when (action) {
        AccessibilityNodeInfo.ACTION_CLICK -> performClick()
        R.id.select_previous -> step(-1)
        R.id.select_none -> true.also { onSelect(null) }
        R.id.zoom_in -> zoomAtCentre(DOUBLE_TAP_FACTOR)
        R.id.zoom_out -> zoomAtCentre(1 / DOUBLE_TAP_FACTOR)
        else -> super.performAccessibilityAction(action, arguments)
    }

    private fun zoomAtCentre(change: Float): Boolean =
        updateZoom { picture, view -> scaledBy(change, width / 2f, height / 2f, picture, view) }

    private companion object {
        const val SNAPSHOT_SIDE = 1280f
        const val SNAPSHOT_TEXT_SIZE = 26f
        const val DOUBLE_TAP_FACTOR = 2.5f
        const val TOUCH_RADIUS_DP = 24
    }
}

/** The overlay of one model: its pixels, its labels, and which segment is where. Protected by the view's lock. */
private class OverlayLayer(private val context: Context) {
    private val buffer = DoubleBuffer()
    private val paint = Paint() // without a filter, so that segment borders stay sharp
    private val labelPaint = Paint(Paint.ANTI_ALIAS_FLAG)
    private val textPaint = Paint(Paint.ANTI_ALIAS_FLAG)
    private var indices = ByteArray(0)
    private var size: Size? = null

    /** The segments, largest first. */
    var segments: List<SegmentInfo> = emptyList()
        private set

    val hasOverlay: Boolean get() = size != null

    fun show(overlay: Overlay?) {
        size = overlay?.size
        segments = overlay?.segments.orEmpty()
        val newSize = size ?: return buffer.clear()
        val source = checkNotNull(overlay)
        buffer.write(newSize, source.pixels)
        if (indices.size != source.indices.size) indices = ByteArray(source.indices.size)
        source.indices.copyInto(indices)
    }

    /** The sizes differ if the device rotated after the overlay was computed. */
    fun isVisible(picture: Size): Boolean = size == picture

    fun segmentAt(column: Int, row: Int): SegmentInfo? {
        val (height, width) = size ?: return null
        if (row !in 0 until height || column !in 0 until width) return null
        return segments.getOrNull((indices[row * width + column].toInt() and 0xff) - 1)
    }

    fun draw(
        canvas: Canvas,
        target: RectF,
        rect: PictureRect,
        options: DisplayOptions,
        textSize: Float,
        selection: OverlayStyle,
    ) {
        val bitmap = buffer.front ?: return
        paint.alpha = (255 * options.opacity).toInt()
        canvas.drawBitmap(bitmap, null, target, paint)
        val isolated = segments.filter { selection.isolate && it.key == selection.selected }
        if (options.labels && options.opacity > 0) drawLabels(canvas, rect, textSize, isolated.ifEmpty { segments })
    }

    private fun drawLabels(canvas: Canvas, rect: PictureRect, textSize: Float, segments: List<SegmentInfo>) {
        textPaint.textSize = textSize
        val height = LABEL_HEIGHT * textSize
        val padding = (height - textSize) / 2
        val anchors = segments.mapNotNull { segment ->
            segment.anchor?.let { LabelAnchor(segment.title(context), it.x, it.y, segment.colour) }
        }
        for (label in placeLabels(anchors, rect, height) { textPaint.measureText(it) + 2 * padding }) {
            labelPaint.color = label.colour or (0xff shl 24)
            textPaint.color = if (Color.luminance(labelPaint.color) > BRIGHT_LUMINANCE) Color.BLACK else Color.WHITE
            val (right, bottom) = label.left + label.width to label.top + label.height
            canvas.drawRoundRect(label.left, label.top, right, bottom, padding, padding, labelPaint)
            canvas.drawText(label.text, label.left + padding, label.top + padding + BASELINE * textSize, textPaint)
        }
    }

    private companion object {
        const val LABEL_HEIGHT = 1.4f // in multiples of the text size
        const val BASELINE = 0.85f // in multiples of the text size
        const val BRIGHT_LUMINANCE = 0.4f
    }
}

/**
 * Two bitmaps of which one is drawn while the other is written, because the render thread can still read
 * the bitmap that was drawn last. The bitmaps are reused.
 */
private class DoubleBuffer {
    /** The bitmap to draw. */
    var front: Bitmap? = null
        private set
    private var back: Bitmap? = null

    fun write(size: Size, argb: IntArray) {
        val bitmap = back?.takeIf { it.width == size.width && it.height == size.height }
            ?: Bitmap.createBitmap(size.width, size.height, Bitmap.Config.ARGB_8888)
        bitmap.setPixels(argb, 0, size.width, 0, 0, size.width, size.height)
        back = front
        front = bitmap
    }

    fun clear() {
        back = front ?: back
        front = null
    }
}
