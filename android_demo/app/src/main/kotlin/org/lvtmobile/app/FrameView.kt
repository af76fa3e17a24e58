package org.lvtmobile.app

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Paint
import android.graphics.RectF
import android.view.GestureDetector
import android.view.MotionEvent
import android.view.ScaleGestureDetector
import android.view.View
import org.lvtmobile.core.Size

/**
 * A picture with what the model says of it, as large as the view allows. Two fingers zoom, one moves,
 * a double tap goes closer and back.
 *
 * The camera's frames come through here too, and not through a preview surface of their own: frame
 * and overlay then have the same pixels, so that they cannot come apart when the phone is turned.
 * [show] and [lay] may be called on any thread.
 */
class FrameView(context: Context) : View(context) {
    private val density = resources.displayMetrics.density
    private val lock = Any()
    private val picture = Turns()
    private val overlay = Turns()
    private var anchors: List<Anchor> = emptyList()
    private val target = RectF()
    private val smooth = Paint(Paint.FILTER_BITMAP_FLAG)
    private val veil = Paint() // unfiltered: a segment's border stays sharp
    private val plate = Paint(Paint.ANTI_ALIAS_FLAG)
    private val text = Paint(Paint.ANTI_ALIAS_FLAG)
    private val pinches = ScaleGestureDetector(context, Pinches())
    private val drags = GestureDetector(context, Drags())

    /** Of what is on the screen; pictures to share have all of it. */
    var zoom: Zoom = Zoom()
        private set(value) {
            field = value
            invalidate()
        }

    /** Of the overlay and its labels, 0 to 1. */
    var opacity: Float = 1f
        set(value) {
            field = value
            invalidate()
        }

    /** Shows a frame; the overlay stays if it has the same size. */
    fun show(frame: Frame) {
        synchronized(lock) { picture.fill(frame.size, frame.argb) }
        postInvalidate()
    }

    /** Lays an answer over the frames, in place of the one before it. */
    fun lay(answer: Overlay) {
        synchronized(lock) {
            val size = answer.size
            if (size == null) overlay.clear() else overlay.fill(size, answer.pixels)
            anchors = answer.anchors
        }
        postInvalidate()
    }

    /** Takes the answer away. */
    fun clear() {
        synchronized(lock) {
            overlay.clear()
            anchors = emptyList()
        }
        postInvalidate()
    }

    /** What is shown, without the view's borders; null before the first frame. */
    fun snapshot(): Bitmap? = synchronized(lock) {
        val shown = picture.shown ?: return null
        val scale = (SNAPSHOT_SIDE / maxOf(shown.width, shown.height)).coerceAtLeast(1f)
        val width = (scale * shown.width).toInt()
        val height = (scale * shown.height).toInt()
        val bitmap = Bitmap.createBitmap(width, height, Bitmap.Config.ARGB_8888)
        paint(Canvas(bitmap), Zoom(), Size(height, width), SNAPSHOT_TEXT)
        bitmap
    }

    override fun onDraw(canvas: Canvas) {
        if (width == 0 || height == 0) return
        synchronized(lock) { paint(canvas, zoom, Size(height, width), TEXT_DP * density) }
    }

    override fun onTouchEvent(event: MotionEvent): Boolean {
        pinches.onTouchEvent(event)
        drags.onTouchEvent(event)
        return true
    }

    private fun zoom(how: Zoom.(Size, Size) -> Zoom): Boolean {
        val shown = synchronized(lock) { picture.shown } ?: return false
        zoom = zoom.how(Size(shown.height, shown.width), Size(height, width))
        return true
    }

    private inner class Pinches : ScaleGestureDetector.SimpleOnScaleGestureListener() {
        override fun onScale(detector: ScaleGestureDetector): Boolean =
            zoom { picture, view -> by(detector.scaleFactor, detector.focusX, detector.focusY, picture, view) }
    }

    private inner class Drags : GestureDetector.SimpleOnGestureListener() {
        override fun onDown(event: MotionEvent): Boolean = true

        override fun onScroll(from: MotionEvent?, to: MotionEvent, dx: Float, dy: Float): Boolean =
            zoom { picture, view -> moved(-dx, -dy, picture, view) }

        override fun onDoubleTap(event: MotionEvent): Boolean = zoom { picture, view ->
            if (factor > 1f) Zoom() else by(DOUBLE_TAP, event.x, event.y, picture, view)
        }
    }

    private fun paint(canvas: Canvas, zoom: Zoom, view: Size, textSize: Float) {
        val shown = picture.shown ?: return
        val fit = zoom.fit(Size(shown.height, shown.width), view)
        target.set(fit.left, fit.top, fit.left + fit.width, fit.top + fit.height)
        canvas.drawBitmap(shown, null, target, smooth)
        val layer = overlay.shown ?: return
        if (layer.width != shown.width || layer.height != shown.height) return // the phone was turned meanwhile
        veil.alpha = (255 * opacity).toInt()
        canvas.drawBitmap(layer, null, target, veil)
        if (opacity > 0) labels(canvas, fit, textSize)
    }

    private fun labels(canvas: Canvas, fit: Fit, textSize: Float) {
        text.textSize = textSize
        val height = PLATE * textSize
        val padding = (height - textSize) / 2
        for (label in placeLabels(anchors, fit, height) { text.measureText(it) + 2 * padding }) {
            plate.color = label.colour or (0xff shl 24)
            text.color = if (Color.luminance(plate.color) > BRIGHT) Color.BLACK else Color.WHITE
            canvas.drawRoundRect(
                label.left, label.top, label.left + label.width, label.top + label.height, padding, padding, plate,
            )
            canvas.drawText(label.text, label.left + padding, label.top + padding + BASELINE * textSize, text)
        }
    }

    private companion object {
        const val TEXT_DP = 13f
        const val SNAPSHOT_SIDE = 1280f
        const val SNAPSHOT_TEXT = 26f
        const val PLATE = 1.4f // height of a label in text sizes
        const val BASELINE = 0.85f
        const val BRIGHT = 0.4f
        const val DOUBLE_TAP = 2.5f
    }
}

/**
 * Two bitmaps in turn: the thread that renders may still read the one that was drawn last while the
 * other is filled. Their memory is used again.
 */
private class Turns {
    var shown: Bitmap? = null
        private set
    private var other: Bitmap? = null

    fun fill(size: Size, argb: IntArray) {
        val spare = other?.takeIf { it.width == size.width && it.height == size.height }
            ?: Bitmap.createBitmap(size.width, size.height, Bitmap.Config.ARGB_8888)
        spare.setPixels(argb, 0, size.width, 0, 0, size.width, size.height)
        other = shown
        shown = spare
    }

    fun clear() {
        other = shown ?: other
        shown = null
    }
}
