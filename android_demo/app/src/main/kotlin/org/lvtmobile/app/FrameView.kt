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
 * Shows a picture and its overlay, scaled to fit the view. Pinch to zoom, drag to move, double-tap to
 * zoom in or out.
 *
 * Camera frames are also drawn here, without a separate preview surface. Frame and overlay share one
 * pixel grid, so they stay aligned when the device rotates. [showFrame], [showOverlay] and [clear] can
 * be called on any thread.
 */
class FrameView(context: Context) : View(context) {
    private val density = resources.displayMetrics.density
    private val lock = Any()
    private val pictureBuffer = DoubleBuffer()
    private val overlayBuffer = DoubleBuffer()
    private var anchors: List<LabelAnchor> = emptyList()
    private val target = RectF()
    private val picturePaint = Paint(Paint.FILTER_BITMAP_FLAG)
    private val overlayPaint = Paint() // without a filter, so that segment borders stay sharp
    private val labelPaint = Paint(Paint.ANTI_ALIAS_FLAG)
    private val textPaint = Paint(Paint.ANTI_ALIAS_FLAG)
    private val scaleDetector = ScaleGestureDetector(context, ScaleListener())
    private val gestureDetector = GestureDetector(context, DragListener())

    /** Zoom of the view. [snapshot] ignores it. */
    var zoom: Zoom = Zoom()
        private set(value) {
            field = value
            invalidate()
        }

    /** Opacity of the overlay, 0 to 1. Labels are hidden at 0. */
    var opacity: Float = 1f
        set(value) {
            field = value
            invalidate()
        }

    /** Shows a frame. The overlay stays visible if it has the same size. */
    fun showFrame(frame: Frame) {
        synchronized(lock) { pictureBuffer.write(frame.size, frame.argb) }
        postInvalidate()
    }

    /** Replaces the overlay. */
    fun showOverlay(overlay: Overlay) {
        synchronized(lock) {
            val size = overlay.size
            if (size == null) overlayBuffer.clear() else overlayBuffer.write(size, overlay.pixels)
            anchors = overlay.anchors
        }
        postInvalidate()
    }

    /** Removes the overlay. */
    fun clear() {
        synchronized(lock) {
            overlayBuffer.clear()
            anchors = emptyList()
        }
        postInvalidate()
    }

    /** Draws the picture with its overlay to a bitmap, without the view's borders; null before the first frame. */
    fun snapshot(): Bitmap? = synchronized(lock) {
        val picture = pictureBuffer.front ?: return null
        val scale = (SNAPSHOT_SIDE / maxOf(picture.width, picture.height)).coerceAtLeast(1f)
        val width = (scale * picture.width).toInt()
        val height = (scale * picture.height).toInt()
        val bitmap = Bitmap.createBitmap(width, height, Bitmap.Config.ARGB_8888)
        drawContent(Canvas(bitmap), Zoom(), Size(height, width), SNAPSHOT_TEXT_SIZE)
        bitmap
    }

    override fun onDraw(canvas: Canvas) {
        if (width == 0 || height == 0) return
        synchronized(lock) { drawContent(canvas, zoom, Size(height, width), TEXT_SIZE_DP * density) }
    }

    override fun onTouchEvent(event: MotionEvent): Boolean {
        scaleDetector.onTouchEvent(event)
        gestureDetector.onTouchEvent(event)
        return true
    }

    private fun updateZoom(change: Zoom.(Size, Size) -> Zoom): Boolean {
        val picture = synchronized(lock) { pictureBuffer.front } ?: return false
        zoom = zoom.change(Size(picture.height, picture.width), Size(height, width))
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
            if (factor > 1f) Zoom() else scaledBy(DOUBLE_TAP_FACTOR, event.x, event.y, picture, view)
        }
    }

    private fun drawContent(canvas: Canvas, zoom: Zoom, view: Size, textSize: Float) {
        val picture = pictureBuffer.front ?: return
        val rect = zoom.pictureRect(Size(picture.height, picture.width), view)
        target.set(rect.left, rect.top, rect.left + rect.width, rect.top + rect.height)
        canvas.drawBitmap(picture, null, target, picturePaint)
        val overlay = overlayBuffer.front ?: return
        // The sizes differ if the device rotated after the overlay was computed.
        if (overlay.width != picture.width || overlay.height != picture.height) return
        overlayPaint.alpha = (255 * opacity).toInt()
        canvas.drawBitmap(overlay, null, target, overlayPaint)
        if (opacity > 0) drawLabels(canvas, rect, textSize)
    }

    private fun drawLabels(canvas: Canvas, rect: PictureRect, textSize: Float) {
        textPaint.textSize = textSize
        val height = LABEL_HEIGHT * textSize
        val padding = (height - textSize) / 2
        for (label in placeLabels(anchors, rect, height) { textPaint.measureText(it) + 2 * padding }) {
            labelPaint.color = label.colour or (0xff shl 24)
            textPaint.color = if (Color.luminance(labelPaint.color) > BRIGHT_LUMINANCE) Color.BLACK else Color.WHITE
            val (right, bottom) = label.left + label.width to label.top + label.height
            canvas.drawRoundRect(label.left, label.top, right, bottom, padding, padding, labelPaint)
            canvas.drawText(label.text, label.left + padding, label.top + padding + BASELINE * textSize, textPaint)
        }
    }

    private companion object {
        const val TEXT_SIZE_DP = 13f
        const val SNAPSHOT_SIDE = 1280f
        const val SNAPSHOT_TEXT_SIZE = 26f
        const val LABEL_HEIGHT = 1.4f // in multiples of the text size
        const val BASELINE = 0.85f // in multiples of the text size
        const val BRIGHT_LUMINANCE = 0.4f
        const val DOUBLE_TAP_FACTOR = 2.5f
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
